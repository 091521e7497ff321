import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ophis import PhotoError
from ophis.images.decode import MAX_PIXELS, MIN_SIDE, decode, read_bytes, read_photo
from ophis.images.structure import webp_without_end
from tests.support.photos import encode, picture, png_header


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {"lossless": True}),
    ],
)
def test_lossless_formats_decode_to_the_stored_pixels(kind, mode, options):
    photo = picture()
    stored = photo.quantize(8) if mode == "P" else photo.convert(mode)
    np.testing.assert_array_equal(decode(encode(stored, kind, **options)), np.asarray(photo))


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
@pytest.mark.parametrize("progressive", [False, True])
def test_every_colour_space_is_converted_to_rgb(mode, progressive):
    data = encode(picture().convert(mode), "JPEG", quality=95, progressive=progressive)
    expected = np.asarray(picture().convert("L").convert("RGB") if mode == "L" else picture())
    found = np.asarray(decode(data))
    assert found.shape == (48, 64, 3)
    assert np.abs(found.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_and_bilevel_photos_have_three_equal_channels(mode):
    found = np.asarray(decode(encode(picture(mode), "PNG")))
    np.testing.assert_array_equal(found[..., 0], found[..., 2])
    np.testing.assert_array_equal(found, np.asarray(picture(mode).convert("RGB")))


def test_sixteen_bit_grey_is_scaled_not_clipped():
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    found = np.asarray(decode(encode(Image.fromarray(values), "PNG")))[..., 1]
    assert np.abs(found - values / 257).max() <= 0.5


def test_transparent_pixels_are_composited_over_white():
    clear = picture("RGBA")
    clear.putalpha(0)
    assert np.asarray(decode(encode(clear, "PNG"))).min() == 255
    palette = picture().quantize(8)
    data = encode(palette, "PNG", transparency=palette.getpixel((0, 0)))
    assert decode(data).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_every_exif_orientation_is_applied(kind, orientation):
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # stored turned left, to be turned right
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = picture().transpose(turns[orientation]) if orientation > 1 else picture()
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(stored, kind, exif=exif, **options)
    np.testing.assert_array_equal(np.asarray(decode(data)), np.asarray(picture()))


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_invalid_exif_orientation_is_ignored(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode(encode(picture(), "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(picture()))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"this is text", "this is no photo"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x00\x00\x00\x18ftypavif\x00\x00", "AVIF photos are not read"),
        (encode(picture(), "GIF"), "GIF, TIFF and BMP pictures are not read"),
        (encode(picture(), "BMP"), "GIF, TIFF and BMP pictures are not read"),
        (encode(picture(size=(1, 1)), "PNG"), "1 x 1 pixels show nothing"),
        (encode(picture(size=(500, MIN_SIDE - 1)), "JPEG"), "show nothing"),
        (png_header(13370, 13370), "more than 80 million"),
        (png_header(65500, 65500), "a.jpg"),
        (png_header(640, 480), "damaged or cut short"),
    ],
)
def test_unsupported_bytes_are_refused_in_one_line_with_the_name(data, words):
    with pytest.raises(PhotoError) as error:
        decode(data, "a.jpg")
    assert str(error.value).startswith("a.jpg: ")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_photo_is_refused(kind):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    whole = encode(Image.fromarray(noise), kind)
    decode(whole)
    for fraction in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9):
        with pytest.raises(PhotoError):
            decode(whole[: int(len(whole) * fraction)])


def test_too_many_pixels_are_refused_by_the_header_without_memory():
    import tracemalloc

    side = int(MAX_PIXELS**0.5) + 1
    data = png_header(side, side)
    tracemalloc.start()
    with pytest.raises(PhotoError, match="80 million"):
        decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@settings(max_examples=200)
@given(st.binary(max_size=300), st.sampled_from(["JPEG", "PNG", "WEBP", ""]), st.integers(0, 400))
def test_arbitrary_bytes_give_a_photo_or_a_photo_error(noise, kind, place):
    data = noise
    if kind:
        whole = encode(picture(), kind)
        data = whole[:place] + noise + whole[place + len(noise) :]
    try:
        photo = decode(data)
    except PhotoError as error:
        photo, line = None, str(error)
    else:
        line = ""
    assert "\n" not in line
    assert photo is None or photo.mode == "RGB"


def test_unreadable_files_are_refused_by_name(tmp_path, monkeypatch):
    with pytest.raises(PhotoError, match=r"none\.jpg: there is no such photo"):
        read_photo(tmp_path / "none.jpg")
    with pytest.raises(PhotoError, match="this is a folder"):
        read_bytes(tmp_path)
    monkeypatch.setattr("ophis.images.decode.MAX_BYTES", 10)
    (tmp_path / "large.jpg").write_bytes(b"x" * 11)
    with pytest.raises(PhotoError, match=r"large\.jpg: larger than"):
        read_bytes(tmp_path / "large.jpg")


def screenshot(colour):
    """A photo above a surface of one colour."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (30, 54, 3), dtype=np.uint8))
    whole = Image.new("RGB", (1080, 1920), colour)
    whole.paste(small.resize((1080, 400)), (0, 0))
    return whole


@pytest.mark.parametrize("colour", ["black", "white", (200, 180, 160)])
@pytest.mark.parametrize("options", [{"quality": q} for q in (80, 90, 100)])
def test_webp_above_one_colour_is_whole(options, colour):
    data = encode(screenshot(colour), "WEBP", **options)
    assert webp_without_end(data)  # its pixels end in zeros
    assert decode(data).size == (1080, 1920)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("options", [{"quality": 80}, {"lossless": True}])
def test_webp_cut_and_filled_with_zeros_is_damaged(options, kept):
    data = encode(screenshot((200, 180, 160)).rotate(180), "WEBP", **options)
    cut = int(len(data) * kept)
    with pytest.raises(PhotoError, match="it ends in zeros"):
        decode(data[:cut] + bytes(len(data) - cut))
