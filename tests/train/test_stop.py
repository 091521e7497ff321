"""Signals to a training run: deferred during a step, immediate elsewhere."""

import os
import signal
from pathlib import Path

import pytest

from ophis.train.stop import Stopped, StopRequest
from tests.support.forked import in_a_child


def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


@in_a_child
def test_stop_outside_deferred_block_is_immediate():
    def begin():
        with StopRequest(Path("run"), 9):
            try:
                ctrl_c()
            except Exception:
                pytest.fail("Ctrl-C was caught as an Exception")

    with pytest.raises(Stopped, match="before the first step of 9; the same command") as stopped:
        begin()
    assert stopped.value.signal == signal.SIGINT


@in_a_child
def test_deferred_stop_waits_and_immediate_stop_does_not():
    reached = []

    def train():
        with StopRequest(Path("run"), 9) as request, request.deferred():
            request.saved_step = 4
            ctrl_c()
            reached.append("held")
            with request.immediate():
                reached.append("never")

    with pytest.raises(Stopped, match=r"saved at step 4 of 9 in run; .* goes on from there"):
        train()
    assert reached == ["held"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal here")
@in_a_child
def test_closed_terminal_saves_unless_hangups_are_ignored():
    reached = []

    def train():
        with StopRequest(Path("run"), 9) as request, request.deferred():
            request.saved_step = 4
            os.kill(os.getpid(), signal.SIGHUP)
            reached.append("held")
            with request.immediate():
                reached.append("went on")

    with pytest.raises(Stopped, match="saved at step 4 of 9") as stopped:
        train()
    assert stopped.value.signal == signal.SIGHUP
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    train()
    assert reached == ["held", "held", "went on"]


@pytest.mark.parametrize(("second", "ends"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
@in_a_child
def test_second_ctrl_c_ends_the_process_and_second_sigterm_does_not(second, ends):
    """A scheduler sends it to all, and torchrun passes on to its processes what it was sent."""
    reached = []

    def train():
        with StopRequest(Path("run"), 9) as request, request.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), second)
            reached.append("still saving")

    if ends:
        with pytest.raises(KeyboardInterrupt):
            train()
    else:
        train()
    assert bool(reached) is not ends


def test_signal_handlers_are_restored():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest(Path("run"), 9):
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
