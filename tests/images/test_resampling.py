import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ophis.images import resampling
from ophis.images.preprocessing import resize
from ophis.images.resampling import AS_STORED, Turn, resampler, resampler_once_worthwhile, weights

TURNS = [Turn(*(bool(n & bit) for bit in (1, 2, 4))) for n in range(8)]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)


def by_pillow(pixels: np.ndarray, side: int, turn: Turn = AS_STORED) -> np.ndarray:
    return resize(Image.fromarray(np.ascontiguousarray(turn.upright(pixels)[..., :3])), side)


def squeezed(pixels: np.ndarray, side: int, turn: Turn) -> np.ndarray:
    found = resampler()
    assert found is not None
    return found.squeezed(pixels, side, turn)


@settings(max_examples=150)
@given(
    st.integers(16, 400),
    st.integers(16, 400),
    st.integers(16, 150),
    st.sampled_from(TURNS),
    st.integers(0, 9),
)
def test_every_size_and_turn_has_pillows_pixels_to_the_last_bit(height, width, side, turn, seed):
    pixels = picture(height, width, seed)
    found = squeezed(pixels, side, turn)
    np.testing.assert_array_equal(found, by_pillow(pixels, side, turn))


@pytest.mark.parametrize(
    ("height", "width", "side"),
    [
        (768, 1024, 512),
        (1600, 1200, 456),
        (1920, 1080, 512),
        (375, 500, 512),
        (32, 30_000, 32),
        (30_000, 32, 40),
        (64, 64, 64),
        (64, 90, 64),
    ],
)
@pytest.mark.parametrize("turn", [AS_STORED, Turn(rows_mirrored=True, swapped=True)])
def test_sizes_of_photos_and_extreme_ones_too(height, width, side, turn):
    pixels = picture(height, width)
    pixels[: height // 2] = 255  # as bright as it gets, where a sum could exceed a byte
    found = squeezed(pixels, side, turn)
    np.testing.assert_array_equal(found, by_pillow(pixels, side, turn))


def test_pixels_that_must_not_be_written_to_will_do():
    pixels = picture(50, 64)
    pixels.setflags(write=False)
    for side in (40, 64):
        np.testing.assert_array_equal(squeezed(pixels, side, AS_STORED), by_pillow(pixels, side))


@pytest.mark.parametrize(("shape", "side"), [((15, 40), 32), ((40, 15), 32), ((40, 40), 15)])
def test_what_is_smaller_than_a_strip_is_refused_before_any_memory_is_touched(shape, side):
    with pytest.raises(ValueError, match="16"):
        squeezed(picture(*shape), side, AS_STORED)


@given(st.integers(16, 500), st.integers(16, 300))
def test_weights_are_those_of_a_triangle_in_float64_and_mirrored_ones_count_from_the_end(
    size, places
):
    plain, mirrored = weights(size, places), weights(size, places, mirrored=True)
    support = max(size / places, 1)
    for place in range(places):
        first, count = plain.first[place], plain.count[place]
        middles = np.arange(first, first + count) + 0.5
        exact = np.maximum(1 - np.abs(middles - (place + 0.5) * size / places) / support, 0)
        shares = plain.values[place] / 2**22
        np.testing.assert_allclose(shares[:count], exact / exact.sum(), atol=2**-22)
        assert not shares[count:].any()
        other = places - 1 - place
        assert mirrored.first[other] == size - first - count
        np.testing.assert_array_equal(
            mirrored.values[other, :count], plain.values[place, :count][::-1]
        )


@pytest.fixture
def anew():
    """No resampler is loaded before, and none of the test's own stays."""
    resampler.cache_clear()
    yield
    resampler.cache_clear()


@pytest.mark.usefixtures("anew")
def test_the_order_of_the_passes_is_found_out_from_the_pillow_at_hand(monkeypatch):
    kernels = importlib.import_module("ophis.images.pixel_kernels")
    for height_first in (True, False):
        there = resampling.Resampler(kernels, height_first)
        monkeypatch.setattr(
            resampling, "_by_pillow", lambda x, side, it=there: it.squeezed(x, side, AS_STORED)
        )
        resampler.cache_clear()
        assert resampler() == there


@pytest.mark.usefixtures("anew")
def test_a_pillow_that_resizes_in_another_way_is_left_to_itself(monkeypatch):
    monkeypatch.setattr(resampling, "_by_pillow", lambda x, side: by_pillow(x, side) ^ 1)
    assert resampler() is None


@pytest.mark.usefixtures("anew")
def test_without_numba_there_is_none(monkeypatch):
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(resampling, "import_module", missing)
    assert resampler() is None


@pytest.mark.usefixtures("anew")
def test_it_is_loaded_for_many_photos_and_not_for_a_few(monkeypatch):
    monkeypatch.setattr(resampling, "_ASKED", iter(range(1, 1000)))
    asked = [resampler_once_worthwhile() is not None for _ in range(201)]
    assert asked == [False] * 199 + [True] * 2


def test_kernels_compile_where_nothing_can_be_kept(monkeypatch):
    numba = importlib.import_module("numba")
    kernels = importlib.import_module("ophis.images.pixel_kernels")
    njit, kept = numba.njit, []

    def nowhere_to_keep(signature, *, nogil, cache=False):
        kept.append(cache)
        if cache:
            raise RuntimeError("no locator available")
        return njit(signature, nogil=nogil)

    monkeypatch.setattr(numba, "njit", nowhere_to_keep)
    twice = kernels._compiled(numba.int64[::1])(_double)
    numbers = np.arange(3)
    twice(numbers)
    assert numbers.tolist() == [0, 2, 4]
    assert kept == [True, False]


def _double(numbers):
    for place in range(len(numbers)):
        numbers[place] *= 2
