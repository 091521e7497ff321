"""Pixels of the browser against Python: decoding, resize, normalisation."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ophis.errors import PhotoError
from ophis.images.decode import decode
from ophis.images.preprocessing import Preprocessing, resize
from ophis.images.test_time_augmentation import Crop, network_input
from ophis.images.usability import unusable_reason
from tests.support.web_pages import encoded, opened_modules

SIDE = 48
IMAGES = Preprocessing(SIDE, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TTA = (Crop(), Crop(0.125, 0.0, 0.875), Crop(mirrored=True))
PREPROCESS = """async ([text, images, tta]) => {
  const module = await import(`${location.origin}/preprocessing.js`);
  const {decode, networkInput, unusableReason} = module;
  const {resize, BILINEAR} = await import(`${location.origin}/resize.js`);
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const packed = (array) => {
    const bytes = new Uint8Array(array.buffer);
    const parts = Array.from({length: Math.ceil(bytes.length / 8192)}, (_, n) =>
      String.fromCharCode(...bytes.subarray(n * 8192, (n + 1) * 8192)));
    return btoa(parts.join(""));
  };
  try {
    const photo = await decode(bytes, "photo");
    return {
      size: [photo.height, photo.width],
      whole: packed(photo.part(0, 0, photo.width, photo.height)),
      resized: packed(Uint8Array.from(resize(photo, images.pixels, BILINEAR))),
      values: packed(networkInput(photo, images, tta)),
      why: unusableReason(photo),
    };
  } catch (error) {
    return {error: error.message, code: error.code};
  }
}"""


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return waves and noise: edges in all directions, no two pixels equal."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 9), np.sin(y / 7), np.sin((x + y) / 11)], axis=-1)
    values = 128 + 90 * waves + rng.normal(0, 12, (height, width, 3))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def saved(photo: Image.Image, kind: str, **how) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, kind, **how)
    return buffer.getvalue()


def turned(turn: int, kind: str, **how) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    return saved(picture(100, 60), kind, exif=exif.tobytes(), **how)


def see_through() -> Image.Image:
    photo = picture(90, 70)
    alpha = np.random.default_rng(1).integers(0, 256, (70, 90), np.uint8)
    photo.putalpha(Image.fromarray(alpha))
    return photo


def profiled() -> bytes:
    """Return a photo with a colour profile that swaps red and blue."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")
    assert swapped != profile
    return saved(picture(90, 70), "JPEG", icc_profile=swapped)


PHOTOS = {
    **{f"JPEG turned {n}": turned(n, "JPEG", quality=92) for n in range(1, 9)},
    **{f"WebP turned {n}": turned(n, "WEBP", lossless=True) for n in range(1, 9)},
    "PNG turned 6": turned(6, "PNG"),
    "JPEG 4:2:0": saved(picture(101, 67), "JPEG", quality=75, subsampling=2),
    "JPEG 4:2:2": saved(picture(101, 67), "JPEG", quality=75, subsampling=1),
    "JPEG 4:4:4": saved(picture(101, 67), "JPEG", quality=95, subsampling=0),
    "JPEG progressive": saved(picture(90, 70), "JPEG", progressive=True),
    "JPEG grey": saved(picture(90, 70).convert("L"), "JPEG"),
    "JPEG CMYK": saved(picture(90, 70).convert("CMYK"), "JPEG"),
    "JPEG with a colour profile": profiled(),
    "PNG": saved(picture(90, 70), "PNG"),
    "PNG grey": saved(picture(90, 70).convert("L"), "PNG"),
    "PNG one bit": saved(picture(90, 70).convert("1"), "PNG"),
    "PNG palette": saved(picture(90, 70).quantize(40), "PNG"),
    "PNG palette, see-through": saved(picture(90, 70).quantize(40), "PNG", transparency=5),
    "PNG see-through": saved(see_through(), "PNG"),
    "PNG grey, see-through": saved(see_through().convert("LA"), "PNG"),
    "PNG 16 bit": saved(
        Image.fromarray(np.random.default_rng(2).integers(0, 65536, (70, 90)).astype(np.uint16)),
        "PNG",
    ),
    "WebP": saved(picture(90, 70), "WEBP", quality=80),
    "WebP see-through": saved(see_through(), "WEBP", lossless=True),
    "larger than the network input": saved(picture(523, 391), "JPEG"),
    "wide": saved(picture(400, 33), "PNG"),
    "tall": saved(picture(37, 400), "PNG"),
    "tall and wide": saved(picture(200, 460), "PNG"),
    "smaller than the network input": saved(picture(33, 41), "PNG"),
    "as wide as the network input": saved(picture(SIDE, 90), "PNG"),
    "the size of the network input": saved(picture(SIDE, SIDE), "PNG"),
    "several strips": saved(picture(1500, 710), "JPEG"),
    "several strips, tall": saved(picture(500, 2150), "JPEG"),
    "flat": saved(Image.new("RGB", (90, 70), (90, 93, 96)), "PNG"),
    "next to flat": saved(picture(90, 70).point(lambda v: 100 + v // 14), "PNG"),
}
# 16 bits are made 8 by rounding in Python; Chromium cuts the lower ones off.
WITHIN = {"PNG 16 bit": 1}


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    with opened_modules(browser, tmp_path_factory.mktemp("page")) as page:
        yield page


def seen(page, data: bytes, tta: tuple[Crop, ...] = TTA) -> dict[str, Any]:
    images = {"pixels": SIDE, "mean": IMAGES.mean, "std": IMAGES.std}
    return page.evaluate(PREPROCESS, [encoded(data), images, [vars(crop) for crop in tta]])


def array(text: str, kind: type, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape)


@pytest.mark.parametrize("name", PHOTOS)
def test_browser_pixels_equal_python(page, name):
    photo, found = decode(PHOTOS[name]), seen(page, PHOTOS[name])
    assert "error" not in found
    assert tuple(found["size"]) == photo.size[::-1]
    whole = array(found["whole"], np.uint8, *found["size"], 3)
    most = WITHIN.get(name, 0)
    assert np.abs(whole.astype(int) - np.asarray(photo)).max() <= most
    resized = array(found["resized"], np.uint8, SIDE, SIDE, 3)
    assert np.abs(resized.astype(int) - resize(photo, SIDE)).max() <= most
    values = array(found["values"], np.float32, len(TTA), 3, SIDE, SIDE)
    expected = network_input(photo, IMAGES, TTA)
    if most:
        assert np.abs(values - expected).max() < 0.02  # one byte, as the network sees it
    else:
        assert np.array_equal(values, expected)
    assert found["why"] == unusable_reason(photo)


def test_photos_cover_all_reasons_for_unusability():
    assert {unusable_reason(decode(data)) for data in PHOTOS.values()} == {None, "small", "flat"}


JPEG = PHOTOS["larger than the network input"]
UNREADABLE = {
    "empty": b"",
    "PDF": b"%PDF-1.7\n" + bytes(100),
    "GIF": saved(picture(90, 70), "GIF"),
    "BMP": saved(picture(90, 70), "BMP"),
    "text": b"this is a letter and no photo at all",
    "few pixels": saved(picture(31, 90), "PNG"),
    "WebP of few pixels": saved(picture(90, 31), "WEBP"),
    "animation": saved(
        picture(90, 70), "WEBP", save_all=True, append_images=[picture(90, 70).rotate(180)]
    ),
    "too many pixels": saved(Image.new("1", (10_000, 8_001)), "PNG"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_other_files_are_refused_with_the_message_of_python(page, name):
    data = UNREADABLE[name]
    found = seen(page, data)
    with pytest.raises(PhotoError) as error:
        decode(data)
    assert (found["error"], found["code"]) == (str(error.value), error.value.reason)


def test_file_of_more_than_64_mib_is_refused(page):
    found = page.evaluate("""async () => {
      const {decode} = await import(`${location.origin}/preprocessing.js`);
      return decode(new Uint8Array(64 * 2 ** 20 + 1), "photo").catch((e) => [e.message, e.code]);
    }""")
    assert found == ["photo: larger than 64 MiB; send a smaller photo", "too_large"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
def test_truncated_photo_is_damaged(page, kind):
    data = {"JPEG": JPEG, "PNG": PHOTOS["PNG"], "WebP": PHOTOS["WebP"]}[kind]
    for length in (len(data) // 2, 20):
        found = seen(page, data[:length])
        assert found["error"] == "photo: damaged or cut short; send the photo again"
        assert found["code"] == "damaged"


def test_unsupported_heic_is_reported(page):
    found = seen(page, b"\0\0\0\x18ftypheic" + bytes(100))
    assert found["error"].startswith("photo: this browser cannot open HEIC")
    assert found["code"] == "other_format"
