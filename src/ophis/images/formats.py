"""Image formats: the supported ones, and a description of other files by their first bytes."""

from __future__ import annotations

from functools import lru_cache

from ophis.errors import Reason

FORMATS = ("JPEG", "PNG", "WEBP")  # Pillow opens MPO, written by some phones, as JPEG
HEIF = "HEIF"
SIGNATURE_BYTES = 32  # from which `is_picture` recognises a format
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")
_TIFF = (b"II*\x00", b"MM\x00*")  # most camera raw files, too
# JPEG XL (two forms), JPEG 2000 (two forms), BigTIFF (two), Photoshop, camera raw of five makers.
_OTHER = (
    b"\xff\x0a", b"\x00\x00\x00\x0cJXL ", b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51",
    b"II+\x00", b"MM\x00+", b"8BPS", b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\x00", b"FOVb",
    b"II\x1a\x00\x00\x00HEAPCCDR",
)  # fmt: skip


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
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF and not is_avif(data)


def is_avif(data: bytes) -> bool:
    """Return True for the signature of AVIF, also among the compatible formats."""
    brands = data[8 : int.from_bytes(data[:4], "big")]
    return data[4:8] == b"ftyp" and any(brands[n : n + 4] in _AVIF for n in range(0, 64, 4))


def is_picture(data: bytes) -> bool:
    """Return True for the signature of an image format, supported or not.

    Args:
        data: the first `SIGNATURE_BYTES` of a file, or all of it.
    """
    return _is_supported(data) or is_heif(data) or _is_other(data)


def unsupported(data: bytes) -> tuple[Reason, str] | None:
    """Return the reason and a description of a file that is not read; None for another file.

    Args:
        data: the first `SIGNATURE_BYTES` of a file, or all of it. Damage behind them is not found.
    """
    if not data:
        return Reason.EMPTY, "the file is empty; copy it again"
    if _is_supported(data) or (is_heif(data) and reads_heif()):
        return None
    reason, message = describe(data)
    return reason, f"{message}; send a JPEG, PNG or WebP photo"


def _is_supported(data: bytes) -> bool:
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def _is_other(data: bytes) -> bool:
    if data[4:8] == b"ftyp":
        return is_avif(data) or data[8:12] == b"crx "
    bitmap = data[:2] == b"BM" and data[6:10] == bytes(4)
    return bitmap or data.startswith((b"GIF8", *_TIFF, *_OTHER))


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
    if is_heif(data) and not reads_heif():
        requirement = "it needs pip install 'ophis[heic]'"
        return Reason.OTHER_FORMAT, f"HEIC photos are not read here ({requirement})"
    if is_heif(data) or _is_supported(data):
        return Reason.DAMAGED, "this photo is damaged"
    if not _is_other(data):
        return Reason.NOT_A_PHOTO, "this is a PDF" if data[:5] == b"%PDF-" else "this is no photo"
    if is_avif(data):
        return Reason.OTHER_FORMAT, "AVIF photos are not read"
    plain = data[:4] in (b"GIF8", *_TIFF) or data[:2] == b"BM"
    kinds = "GIF, TIFF and BMP" if plain else "camera raw and other"
    return Reason.OTHER_FORMAT, f"{kinds} pictures are not read"
