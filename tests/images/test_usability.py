import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from ophis.images.usability import MIN_CONTRAST, unusable_reason


@given(
    seed=st.integers(0, 2**32 - 1),
    dark=st.integers(0, 255),
    light=st.integers(0, 255),
    fraction=st.floats(0.03, 0.97),
)
def test_flat_photos_have_close_numpy_percentiles(seed, dark, light, fraction):
    rng = np.random.default_rng(seed)
    grey = np.where(rng.random((64, 64)) < fraction, dark, light).astype(np.uint8)
    low, high = np.percentile(grey, (5, 95))
    assume(abs(high - low - MIN_CONTRAST) > 1e-6)  # a rounding is no difference
    photo = Image.fromarray(grey).convert("RGB")
    assert (unusable_reason(photo) == "flat") == (high - low < MIN_CONTRAST)
