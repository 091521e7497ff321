"""Image formats: the supported ones, and a description of other files by their first bytes."""

from __future__ import annotations

from functools import lru_cache

from ophis.errors import Reason

FORMATS = ("JPEG", "PNG", "WEBP")  # Pillow opens MPO, written by some phones, as JPEG
HEIF = "HEIF"
# Suffixes of files that are treated as photos; unsupported formats fail with the reason.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".gif", ".bmp", ".tif", ".tiff"}
)
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")


def formats_of(data: bytes) -> tuple[str, ...]:
    """Return Pillow's names of the formats to try for these bytes.

    HEIC, written by iPhones, is supported where pillow-heif is installed. Its decoder, a large C
    library, receives no other bytes and is loaded at the first HEIC file.

    Args:
        data: a whole file.
    """
    return (HEIF,) if is_heif(data) and reads_heif() else FORMATS


def is_heif(data: bytes) -> bool:
    """Return True for the signature of HEIC or a related format (HEVC, not AVIF)."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF


@lru_cache(maxsize=1)
def reads_heif() -> bool:
    """Return True where pillow-heif is installed, and register it."""
    try:
        from pillow_heif import register_heif_opener  # noqa: PLC0415 - an extra
    except ImportError:
        return False
    # Only the primary image is decoded: no thumbnail, depth or auxiliary image.
    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return True


def describe(data: bytes) -> tuple[Reason, str]:
    """Return the reason and a description of an unsupported file, by its first bytes."""
    if is_heif(data):
        if reads_heif():
            return Reason.DAMAGED, "this HEIC photo is damaged"
        requirement = "it needs pip install 'ophis[heic]'"
        return Reason.OTHER_FORMAT, f"HEIC photos are not read here ({requirement})"
    if data[4:8] == b"ftyp" and data[8:12] in _AVIF:
        return Reason.OTHER_FORMAT, "AVIF photos are not read"
    if data[:5] == b"%PDF-":
        return Reason.NOT_A_PHOTO, "this is a PDF"
    if data[:4] in (b"GIF8", b"II*\x00", b"MM\x00*") or data[:2] == b"BM":
        return Reason.OTHER_FORMAT, "GIF, TIFF and BMP pictures are not read"
    return Reason.NOT_A_PHOTO, "this is no photo"
