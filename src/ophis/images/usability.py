"""Usability of a photo: enough pixels and contrast to name a snake."""

from __future__ import annotations

import numpy as np
from PIL import Image

MIN_USABLE_SIDE = 64  # pixels; with fewer a snake may be visible but not identifiable
MIN_CONTRAST = 12  # of 255, between the darkest and the lightest twentieth of a photo


def unusable_reason(photo: Image.Image) -> str | None:
    """Return the reason against naming a species from this upright photo.

    Returns:
        "small"; "flat" for a photo almost without contrast, such as a lens cap, a wall, the sky
        or a page; None for a usable photo.
    """
    if min(photo.size) < MIN_USABLE_SIDE:
        return "small"
    # Averages over several pixels: the noise of a dark sensor is no contrast.
    grey = photo.convert("L").resize((MIN_USABLE_SIDE, MIN_USABLE_SIDE), Image.Resampling.BOX)
    greys = np.sort(np.asarray(grey), axis=None)
    # np.percentile would import numpy.ma, which takes a third of NumPy's import time.
    dark, light = np.interp(
        (0.05 * (greys.size - 1), 0.95 * (greys.size - 1)), np.arange(greys.size), greys
    )
    return "flat" if light - dark < MIN_CONTRAST else None
