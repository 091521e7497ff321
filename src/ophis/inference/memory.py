"""Settings of the C library's memory allocator for training and scoring."""

from __future__ import annotations

import ctypes
import platform

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
TOP_PAD_BYTES = 64 * 2**20
_NEVER = 2**31 - 1


def takes_settings() -> bool:
    """Return whether the C library is glibc, which has these settings."""
    return platform.libc_ver()[0] == "glibc"


def keep_freed_memory() -> bool:
    """Keep freed memory in the process, so that large arrays are not paged in for each photo.

    By default glibc maps each array over 32 MiB and unmaps it when it is freed, so that a training
    step of large feature maps touches hundreds of thousands of fresh pages, which the kernel fills
    with zeros. With these settings the process keeps its peak memory until it ends.

    Returns:
        Whether the C library is glibc and accepted the settings; others are not changed.
    """
    if not takes_settings():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, TOP_PAD_BYTES))
    # A list, so that every setting is applied.
    taken = [mallopt(name, value) for name, value in settings]
    return all(taken)
