"""The processes that read photos: the same pixels, bounds, and what happens when one ends."""

import gc
import io
import os
import signal
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ophis.errors import PhotoError, Reason
from ophis.images.test_time_augmentation import Crop, tta_crops
from ophis.inference.photo import Wanted, read
from ophis.serve import Limits
from ophis.serve.decoder_process import (
    TOO_MUCH,
    DecoderError,
    MistakeError,
    pixels_of,
    receive,
    send,
)
from ophis.serve.decoders import UNREADABLE, Decoders
from tests.support.photos import kathmandu_photo, photo, png_header

WANTED = Wanted(frozenset({32, 48}), tta_crops("flip", "crops"), gps=True)


@pytest.fixture(scope="module")
def decoders():
    found = Decoders(Limits(workers=1))
    yield found
    found.close()


def process_of(decoders: Decoders):
    (decoder,) = decoders._all
    return decoder._process


@pytest.mark.parametrize("data", [
    photo(1), photo(2, 300, "JPEG"), photo(3, 41), photo(4, kind="WEBP"), kathmandu_photo(),
])  # fmt: skip
def test_they_give_what_is_read_in_this_process(decoders, data):
    here, there = read(data, "a", WANTED), decoders.read(data, "a", WANTED)
    assert (there.why, there.position) == (here.why, here.position)
    assert there.resized.keys() == here.resized.keys()
    for side, squares in here.resized.items():
        np.testing.assert_array_equal(there.resized[side], squares)


@pytest.mark.parametrize("data", [
    b"", b"no photo", b"%PDF-1.7", photo()[:900], photo(1, 20), png_header(13370, 13370),
])  # fmt: skip
def test_they_refuse_in_the_same_words(decoders, data):
    with pytest.raises(PhotoError) as here:
        read(data, "photo 2", WANTED)
    with pytest.raises(PhotoError) as there:
        decoders.read(data, "photo 2", WANTED)
    assert (str(there.value), there.value.reason) == (str(here.value), here.value.reason)
    assert decoders.replaced == 0


def flat(width: int, height: int) -> bytes:
    """A large photo of few bytes."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "JPEG")
    return file.getvalue()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to its memory")
def test_a_photo_gets_no_more_memory_than_it_may_have():
    decoders = Decoders(Limits(workers=1, decoder_bytes=64 * 2**20))
    with pytest.raises(PhotoError, match=f"^photo: {TOO_MUCH}$") as refused:
        decoders.read(flat(6000, 4000), "photo", WANTED)
    assert refused.value.reason is Reason.TOO_LARGE
    decoders.read(flat(600, 400), "photo", WANTED)
    assert decoders.replaced == 0
    decoders.close()


def test_one_that_takes_too_long_is_replaced():
    decoders = Decoders(Limits(workers=1, decoder_seconds=0.5))
    decoders.start()
    process = process_of(decoders)
    os.kill(process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(decoders.read, photo(), "photo", WANTED)
        try:
            with pytest.raises(PhotoError, match=f"^photo: {UNREADABLE}$"):
                answer.result(timeout=20)
        finally:
            process.kill()  # where nothing else ends it, nobody waits for it for ever
    assert process.returncode == -signal.SIGKILL
    assert decoders.replaced == 1
    decoders.close()


def test_one_that_died_is_replaced_before_anybody_is_refused(decoders):
    before = decoders.replaced
    process = process_of(decoders)
    process.kill()
    process.wait()
    decoders.read(photo(), "photo", WANTED)
    assert decoders.replaced == before + 1
    assert process_of(decoders).pid != process.pid


def test_a_mistake_of_ours_is_told_and_no_process_is_lost(decoders, caplog):
    odd = Crop()
    object.__setattr__(odd, "fraction", 5.0)
    process = process_of(decoders)
    with pytest.raises(MistakeError, match=r"^InputError in test_time_augmentation\.py, line \d+$"):
        decoders.read(photo(), "Anna", replace(WANTED, tta=(odd,)))
    assert "mistake in a decoder: InputError in test_time_augmentation.py" in caplog.text
    assert "Anna" not in caplog.text
    assert process_of(decoders) is process
    decoders.read(photo(), "photo", WANTED)


def test_who_asks_to_stop_is_heard_by_the_service_and_not_by_them(decoders):
    process = process_of(decoders)
    for number in (signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
    decoders.read(photo(), "photo", WANTED)
    assert process_of(decoders) is process


def test_they_end_when_nobody_asks_them_any_more(decoders):
    process = process_of(decoders)
    process.stdin.close()  # as it is when the service was killed
    assert process.wait(20) == 0


def test_they_are_ended_with_the_service():
    decoders = Decoders(Limits(workers=2))
    decoders.start()
    processes = [decoder._process for decoder in decoders._all]
    assert len(processes) == 2
    gone = weakref.ref(decoders)
    del decoders
    gc.collect()
    assert gone() is None
    assert [process.returncode for process in processes] == [-signal.SIGKILL] * 2


def message(header: dict[str, object], data: bytes = b"") -> io.BytesIO:
    file = io.BytesIO()
    send(file, header, [data])
    return io.BytesIO(file.getvalue())


def test_what_is_no_answer_is_none():
    """A decoder that a photo took over may say anything."""
    fine = {"why": None, "position": None}
    wanted = Wanted(frozenset({8}))
    assert pixels_of(*receive(message(fine, bytes(192)), 192), wanted).resized[8].shape[1:] == (
        8, 8, 3,
    )  # fmt: skip
    for header, size in (
        (fine, 191), ({}, 192), (fine | {"why": "magic"}, 192), (fine | {"position": "x"}, 192)
    ):  # fmt: skip
        with pytest.raises((ValueError, KeyError, TypeError)):
            pixels_of(*receive(message(header, bytes(size)), 192), wanted)
    for file in (
        message(fine, bytes(193)), message({"why": "x" * 2**16}), io.BytesIO(b"\xff" * 99),
        io.BytesIO(message(fine, bytes(192)).getvalue()[:-1]),
    ):  # fmt: skip
        with pytest.raises(DecoderError):
            receive(file, 192)
