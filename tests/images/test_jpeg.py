import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ophis import PhotoError
from ophis.images import jpeg
from ophis.images.decode import decode
from ophis.images.jpeg import MAX_EXTRA_BYTES, jpeg_pixels
from ophis.images.preprocessing import decode_resized, resize
from tests.support.paths import SHARED

NOISE = np.random.default_rng(0).integers(0, 256, (75, 110, 3), np.uint8)
SMOOTH = np.asarray(Image.fromarray(NOISE[:8, :12]).resize((110, 75), Image.Resampling.BICUBIC))


def encoded(pixels: np.ndarray, kind: str = "JPEG", mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


def turned(orientation: object) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a snake"
    return exif


def by_simplejpeg(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as photo:
        return jpeg_pixels(data, photo) is not None


def outcome(data: bytes, way) -> tuple[bytes, str]:
    try:
        return way(data).tobytes(), ""
    except PhotoError as error:
        return b"", str(error)


def require_same(data: bytes, pixels: int = 48) -> str:
    """Require equal results of both decoders; return the error message of both."""
    plain = outcome(data, lambda x: resize(decode(x, "a.jpg"), pixels))
    assert outcome(data, lambda x: decode_resized(x, pixels, "a.jpg")) == plain
    return plain[1]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("quality", [5, 50, 90, 100])
@pytest.mark.parametrize("size", [(75, 110), (33, 47), (64, 64)])
def test_simplejpeg_and_pillow_decode_equal_pixels(progressive, subsampling, mode, quality, size):
    for pixels in (NOISE, SMOOTH):
        data = encoded(
            pixels[: size[0], : size[1]],
            mode=mode,
            quality=quality,
            subsampling=subsampling,
            progressive=progressive,
        )
        assert by_simplejpeg(data)
        assert require_same(data) == ""


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB")])
def test_every_exif_orientation_is_applied_before_the_resize(orientation, kind, mode):
    data = encoded(NOISE, kind, mode, exif=turned(orientation))
    assert by_simplejpeg(data) == (kind == "JPEG")
    assert require_same(data) == ""


def test_a_photo_stored_sideways_is_resized_as_an_upright_one():
    lying = np.random.default_rng(1).integers(0, 256, (90, 400, 3), np.uint8)
    for orientation in (1, 5, 6, 7, 8):
        assert require_same(encoded(lying, exif=turned(orientation), quality=95)) == ""


@pytest.mark.parametrize(
    "exif", [b"Exif\x00\x00MM\x00*\x00\x00", b"Exif\x00\x00" + bytes(20), b"no exif at all"]
)
def test_a_damaged_exif_is_ignored_by_both_decoders(exif):
    assert require_same(encoded(NOISE, exif=exif)) == ""


def test_a_changed_exif_byte_gives_equal_results():
    data = bytearray(encoded(NOISE, exif=turned(6)))
    for place in range(20, 100):  # each byte of the EXIF once
        for value in (0, 1, 255):
            wrong = data[:place] + bytes([value]) + data[place + 1 :]
            require_same(bytes(wrong))


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "CMYK", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("PNG", "I;16", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("MPO", "RGB", {"save_all": True, "append_images": [Image.fromarray(SMOOTH)]}),
    ],
)
def test_other_formats_are_decoded_by_pillow(kind, mode, options):
    if mode == "I;16":
        file = io.BytesIO()
        Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257).save(file, kind)
        data = file.getvalue()
    else:
        data = encoded(NOISE, kind, mode, **options)
    assert by_simplejpeg(data) == (kind == "MPO")
    assert require_same(data) == ""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"this is text", "this is no photo"),
        (encoded(NOISE[:31]), "show nothing"),
        (encoded(NOISE)[:-200], "damaged or cut short"),
        (encoded(NOISE)[:100], "damaged or cut short"),
    ],
)
def test_both_decoders_raise_the_same_errors(data, words):
    assert words in require_same(data)


@pytest.mark.parametrize("progressive", [False, True])
def test_lost_pixels_that_pillow_replaces_are_refused(progressive):
    data = bytearray(encoded(SMOOTH, restart_marker_blocks=2, progressive=progressive))
    data[-60:-50] = bytes(10)
    with Image.open(io.BytesIO(data)) as photo:
        photo.load()
    assert "(Corrupt JPEG data: " in require_same(bytes(data))
    assert "damaged or cut short" in require_same(encoded(SMOOTH)[:-3])


@pytest.mark.parametrize(
    ("number", "refused"), [(1, False), (MAX_EXTRA_BYTES, False), (3000, True)]
)
def test_many_extra_bytes_after_the_pixels_are_damage_and_few_are_not(number, refused):
    data = encoded(SMOOTH)[:-2] + bytes(number) + b"\xff\xd9"
    assert bool(require_same(data)) == refused
    if not refused:
        assert decode(data).tobytes() == decode(encoded(SMOOTH)).tobytes()


@settings(max_examples=400)
@given(
    st.sampled_from(
        [
            encoded(NOISE, quality=60),
            encoded(SMOOTH, progressive=True),
            encoded(SMOOTH, mode="L", exif=turned(8)),
            encoded(NOISE, restart_marker_blocks=3, exif=turned(3)),
        ]
    ),
    st.floats(0, 1),
    st.binary(min_size=0, max_size=12),
    st.integers(0, 12),
)
def test_damaged_jpegs_give_equal_results_by_both_decoders(data, place, noise, lost):
    cut = int(place * len(data))
    require_same(data[:cut] + noise + data[cut + lost :])


def test_a_fault_of_this_package_is_not_reported_as_a_damaged_photo(monkeypatch):
    def wrong(*_: object) -> None:
        raise TypeError("programming error")

    monkeypatch.setattr("ophis.images.preprocessing.resize", wrong)
    with pytest.raises(TypeError, match="programming error"):
        decode_resized(encoded(NOISE), 48)


def test_without_simplejpeg_pillow_decodes(monkeypatch):
    monkeypatch.setattr(jpeg, "simplejpeg", lambda: None)
    assert not by_simplejpeg(encoded(NOISE))
    require_same(encoded(NOISE))


@pytest.mark.parametrize("folder", ["badimages/files", "photos"])
def test_hostile_and_real_files_give_equal_results(folder):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"the files are not here (shared/data/{folder})")
    paths = sorted(path for path in (SHARED / folder).rglob("*.*") if path.suffix != ".csv")
    for path in paths[:: max(1, len(paths) // 300)]:
        data = path.read_bytes()
        plain = outcome(data, lambda x: resize(decode(x), 96))
        assert outcome(data, lambda x: decode_resized(x, 96)) == plain, path.name
    assert len(paths) > 200
