"""Decoding of HEIC; the photos are made by the encoder of pillow-heif."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps

from ophis import PhotoError
from ophis.geography.location import gps_of
from ophis.images import formats as photo_formats
from ophis.images.decode import decode, read_photo
from tests.support.photos import heic, picture

pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")


WHOLE = heic(picture(size=(96, 64)))


def differ(found: Image.Image, expected: Image.Image) -> float:
    assert found.size == expected.size
    assert found.mode == "RGB"
    return np.abs(np.asarray(found).astype(int) - np.asarray(expected.convert("RGB"))).mean()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_heic_decodes_to_the_stored_pixels(mode, tmp_path):
    photo = picture(mode, size=(96, 64))
    (tmp_path / "a.heic").write_bytes(heic(photo))
    assert differ(read_photo(tmp_path / "a.heic"), photo) < 2


def test_transparent_pixels_of_a_heic_are_composited_over_white():
    clear = picture("RGBA")
    clear.putalpha(0)
    assert np.asarray(decode(heic(clear))).min() >= 254


def test_a_resized_heic_has_the_pixels_of_its_decoded_image():
    from ophis.images.preprocessing import decode_resized, resize

    np.testing.assert_array_equal(decode_resized(WHOLE, 48), resize(decode(WHOLE), 48))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_heic_is_applied_once(orientation):
    """Both the boxes of the file and its EXIF have the orientation; it is applied once."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = picture(size=(96, 64))
    data = heic(stored, exif=exif.tobytes())
    written = Image.Exif()
    written.load(pillow_heif.open_heif(data).info["exif"])
    assert written[0x0112] == orientation
    stored.getexif()[0x0112] = orientation
    expected = ImageOps.exif_transpose(stored)
    assert differ(decode(data), expected) < 2


def test_only_the_primary_image_is_decoded():
    pictures = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue")]
    file = pillow_heif.HeifFile()
    for one in pictures:
        file.add_from_pillow(one)
    buffer = io.BytesIO()
    file.save(buffer, primary_index=1, quality=-1, chroma=444)
    assert differ(decode(buffer.getvalue()), pictures[1]) < 2


def test_the_position_in_a_heic_is_read():
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitude: (27.0, 43.0, 1.92),
            ExifTags.GPS.GPSLatitudeRef: "N",
            ExifTags.GPS.GPSLongitude: (85.0, 19.0, 26.4),
            ExifTags.GPS.GPSLongitudeRef: "E",
        }
    )
    found = gps_of(heic(picture(), exif=exif.tobytes()))
    assert found
    assert (found.latitude, found.longitude) == pytest.approx((27.7172, 85.324), abs=1e-4)
    assert gps_of(WHOLE) is None


def test_too_many_pixels_are_refused_before_any_is_decoded(monkeypatch):
    monkeypatch.setattr("ophis.images.decode.MAX_PIXELS", 96 * 64 - 1)
    monkeypatch.setattr("ophis.images.decode.upright_rgb", None)  # it would be called
    with pytest.raises(PhotoError, match=r"a\.heic: more than .* million pixels"):
        decode(WHOLE, "a.heic")


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])
def test_a_truncated_heic_is_refused_in_one_line(fraction):
    with pytest.raises(PhotoError) as error:
        decode(WHOLE[: int(len(WHOLE) * fraction)], "a.heic")
    assert str(error.value).startswith("a.heic: ")
    assert "\n" not in str(error.value)


@settings(max_examples=100)
@given(st.binary(max_size=60), st.integers(12, len(WHOLE)))
def test_arbitrary_bytes_in_a_heic_give_a_photo_or_a_photo_error(noise, place):
    try:
        photo, line = decode(WHOLE[:place] + noise + WHOLE[place + len(noise) :]), ""
    except PhotoError as error:
        photo, line = None, str(error)
    assert "\n" not in line
    assert photo is None or photo.mode == "RGB"


def test_without_pillow_heif_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(photo_formats, "reads_heif", lambda: False)
    with pytest.raises(PhotoError, match=r"a: HEIC photos are not read here .*ophis\[heic\]"):
        decode(WHOLE, "a")


def test_avif_is_not_heic():
    with pytest.raises(PhotoError, match="AVIF photos are not read"):
        decode(WHOLE[:8] + b"avif" + WHOLE[12:])
