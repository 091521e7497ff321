"""How the C library hands memory out: kept for the next piece instead of given back each time."""

from __future__ import annotations

import ctypes
import platform

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
TOP_PAD_BYTES = 64 * 2**20
_NEVER = 2**31 - 1


def takes_settings() -> bool:
    """Whether the C library is glibc, whose settings these are."""
    return platform.libc_ver()[0] == "glibc"


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed, so that large arrays are not paged in again for each photo.

    By default each array over 32 MiB is fetched from the kernel and given back when it is freed: a
    training step of large maps then touches hundreds of thousands of fresh pages, each filled with
    zeros first. The price is that the process holds its peak until it ends. For processes that do
    the same over and over: training, scoring.

    Returns:
        Whether the C library is glibc and took the settings; elsewhere nothing is changed.
    """
    if not takes_settings():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, TOP_PAD_BYTES))
    taken = [
        mallopt(name, value) for name, value in settings
    ]  # all of them, whatever the first says
    return all(taken)
