"""Kinds of picture files: those that are read, and what others are by their first bytes."""

from __future__ import annotations

from functools import lru_cache

from ophis.errors import Reason

FORMATS = ("JPEG", "PNG", "WEBP")  # Pillow opens MPO, which some phones write, as JPEG
HEIF = "HEIF"
# Of files that are taken for photos; those of kinds that are not read are then told why.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".gif", ".bmp", ".tif", ".tiff"}
)
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")


def formats_of(data: bytes) -> tuple[str, ...]:
    """The formats, as Pillow calls them, that these bytes may be read as.

    HEIC, which iPhones write, is one where pillow-heif is installed. Its decoder, a large library
    in C, sees no other bytes, and is not loaded before there are some.

    Args:
        data: a whole file.
    """
    return (HEIF,) if is_heif(data) and reads_heif() else FORMATS


def is_heif(data: bytes) -> bool:
    """Whether a file says that it is HEIC or a relative of it (HEVC, not AVIF)."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF


@lru_cache(maxsize=1)
def reads_heif() -> bool:
    """Whether HEIC can be read here."""
    try:
        from pillow_heif import register_heif_opener  # noqa: PLC0415 - an extra
    except ImportError:
        return False
    # Nothing but the picture is wanted: no thumbnail, depth or other picture beside it.
    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return True


def describe(data: bytes) -> tuple[Reason, str]:
    """What a file is that is no photo of ours, as far as its first bytes tell."""
    if is_heif(data):
        if reads_heif():
            return Reason.DAMAGED, "this HEIC photo is damaged"
        wanted = "it needs pip install 'ophis[heic]'"
        return Reason.OTHER_FORMAT, f"HEIC photos are not read here ({wanted})"
    if data[4:8] == b"ftyp" and data[8:12] in _AVIF:
        return Reason.OTHER_FORMAT, "AVIF photos are not read"
    if data[:5] == b"%PDF-":
        return Reason.NOT_A_PHOTO, "this is a PDF"
    if data[:4] in (b"GIF8", b"II*\x00", b"MM\x00*") or data[:2] == b"BM":
        return Reason.OTHER_FORMAT, "GIF, TIFF and BMP pictures are not read"
    return Reason.NOT_A_PHOTO, "this is no photo"
