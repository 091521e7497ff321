"""Decoder processes: pixels, limits, and replacement of one that ends."""

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
from starlette.requests import ClientDisconnect

from ophis.errors import PhotoError, Reason
from ophis.images.test_time_augmentation import Crop, tta_crops
from ophis.inference.photo import Wanted, read
from ophis.serve import Limits
from ophis.serve.decoder_process import (
    TOO_LARGE,
    DecoderError,
    DefectError,
    parse_reply,
    receive,
    send,
)
from ophis.serve.decoders import NO_TIME, UNREADABLE, Decoders, RequestDecoder
from tests.support.photos import kathmandu_photo, photo, png_header
from tests.support.service import Clock

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
def test_decoder_gives_the_pixels_of_this_process(decoders, data):
    here, there = read(data, "a", WANTED), decoders.read(data, "a", WANTED)
    assert (there.why, there.position) == (here.why, here.position)
    assert there.resized.keys() == here.resized.keys()
    for side, images in here.resized.items():
        np.testing.assert_array_equal(there.resized[side], images)


@pytest.mark.parametrize("data", [
    b"", b"no photo", b"%PDF-1.7", photo()[:900], photo(1, 20), png_header(13370, 13370),
])  # fmt: skip
def test_decoder_gives_the_errors_of_this_process(decoders, data):
    with pytest.raises(PhotoError) as here:
        read(data, "photo 2", WANTED)
    with pytest.raises(PhotoError) as there:
        decoders.read(data, "photo 2", WANTED)
    assert (str(there.value), there.value.reason) == (str(here.value), here.value.reason)
    assert decoders.replaced == 0


def flat(width: int, height: int) -> bytes:
    """Return a large photo of few bytes."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "JPEG")
    return file.getvalue()


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits need Linux")
def test_memory_of_a_photo_is_limited():
    decoders = Decoders(Limits(workers=1, decoder_bytes=64 * 2**20))
    with pytest.raises(PhotoError, match=f"^photo: {TOO_LARGE}$") as error:
        decoders.read(flat(6000, 4000), "photo", WANTED)
    assert error.value.reason is Reason.TOO_LARGE
    decoders.read(flat(600, 400), "photo", WANTED)
    assert decoders.replaced == 0
    decoders.close()


def test_slow_decoder_is_replaced():
    decoders = Decoders(Limits(workers=1, decoder_seconds=0.5))
    decoders.start()
    process = process_of(decoders)
    os.kill(process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(decoders.read, photo(), "photo", WANTED)
        try:
            with pytest.raises(PhotoError, match=f"^photo: {UNREADABLE}$"):
                answer.result(timeout=300)
        finally:
            process.kill()  # a failing test must not wait without limit
    assert process.returncode == -signal.SIGKILL
    assert decoders.replaced == 1
    decoders.close()


class SlowDecoders:
    """Pool whose every photo takes a time of the clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds, self.limits = clock, seconds, []

    def read(self, data, name, wanted, *, seconds):
        self.limits.append(seconds)
        self.clock.seconds += min(self.seconds, seconds)
        if self.seconds > seconds:
            raise PhotoError(f"{name}: {UNREADABLE}")
        return name


def outcomes(decoder: RequestDecoder, photos: int) -> list[str]:
    found: list[str] = []
    for number in range(photos):
        try:
            found.append(str(decoder.read(b"", str(number), WANTED)))
        except PhotoError as error:
            found.append(str(error))
    return found


def test_photos_of_a_request_share_one_time_limit():
    slow = SlowDecoders(clock := Clock(), 8)
    found = outcomes(RequestDecoder(slow, 20, clock), 5)
    assert found == ["0", "1", f"2: {UNREADABLE}", f"3: {NO_TIME}", f"4: {NO_TIME}"]
    assert slow.limits == [20, 12, 4]


def test_no_photo_is_decoded_after_one_that_is_too_slow():
    slow = SlowDecoders(clock := Clock(), 30)
    assert outcomes(RequestDecoder(slow, 20, clock), 8)[1:] == [
        f"{number}: {NO_TIME}" for number in range(1, 8)
    ]
    assert slow.limits == [20]
    slow.seconds = 1  # another request has its own time
    assert outcomes(RequestDecoder(slow, 20, clock), 8) == list("01234567")


def test_no_photo_is_decoded_for_a_client_that_is_gone():
    slow = SlowDecoders(clock := Clock(), 1)
    decoder = RequestDecoder(slow, 20, clock)
    decoder.read(b"", "photo", WANTED)
    decoder.client_gone = True
    with pytest.raises(ClientDisconnect):
        decoder.read(b"", "photo", WANTED)
    assert len(slow.limits) == 1


def test_dead_decoder_is_replaced_before_the_next_photo(decoders):
    before = decoders.replaced
    process = process_of(decoders)
    process.kill()
    process.wait()
    decoders.read(photo(), "photo", WANTED)
    assert decoders.replaced == before + 1
    assert process_of(decoders).pid != process.pid


def test_defect_is_logged_and_keeps_the_process(decoders, caplog):
    odd = Crop()
    object.__setattr__(odd, "fraction", 5.0)
    process = process_of(decoders)
    with pytest.raises(DefectError, match=r"^InputError in test_time_augmentation\.py, line \d+$"):
        decoders.read(photo(), "Anna", replace(WANTED, tta=(odd,)))
    assert "defect in a decoder: InputError in test_time_augmentation.py" in caplog.text
    assert "Anna" not in caplog.text
    assert process_of(decoders) is process
    decoders.read(photo(), "photo", WANTED)


def test_decoder_ignores_signals_to_stop(decoders):
    process = process_of(decoders)
    for number in (signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
    decoders.read(photo(), "photo", WANTED)
    assert process_of(decoders) is process


def test_decoder_ends_when_its_input_ends(decoders):
    process = process_of(decoders)
    process.stdin.close()  # happens when the service is killed
    assert process.wait(300) == 0


def test_pool_ends_its_processes():
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


def test_malformed_reply_is_refused():
    """A decoder that an attacker controls may send anything."""
    fine = {"why": None, "position": None}
    wanted = Wanted(frozenset({8}))
    assert parse_reply(*receive(message(fine, bytes(192)), 192), wanted).resized[8].shape[1:] == (
        8, 8, 3,
    )  # fmt: skip
    for header, size in (
        (fine, 191), ({}, 192), (fine | {"why": "magic"}, 192), (fine | {"position": "x"}, 192)
    ):  # fmt: skip
        with pytest.raises((ValueError, KeyError, TypeError)):
            parse_reply(*receive(message(header, bytes(size)), 192), wanted)
    for file in (
        message(fine, bytes(193)), message({"why": "x" * 2**16}), io.BytesIO(b"\xff" * 99),
        io.BytesIO(message(fine, bytes(192)).getvalue()[:-1]),
    ):  # fmt: skip
        with pytest.raises(DecoderError):
            receive(file, 192)
