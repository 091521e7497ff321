"""Fork server of `ophis train`: runs that are observed and ended at a given point.

Reads one line of JSON a run from standard input and writes one line; see
`forked_training.TrainingRuns`. A fork takes hundredths of a second, a start with imports takes
seconds. The hooks that observe and end a run wrap functions of the package after the fork.
"""

import hashlib
import json
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ophis.cli import main
from ophis.train import checkpoint, gradient, loop

Order = dict[str, Any]


class Notes:
    """Lines that a run writes, each at once."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def add(self, **facts: object) -> None:
        with suppress(OSError):  # a run may have no space left
            os.write(self._file, json.dumps(facts).encode() + b"\n")


def kill_self(notes: Notes, place: str) -> None:
    notes.add(killed=place)
    os.kill(os.getpid(), signal.SIGKILL)


def replace(module: object, name: str, new: object) -> None:
    """Replace a function of a module, in this process only."""
    setattr(module, name, new)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def watch_micro_batches(order: Order, notes: Notes) -> None:
    """Note pixels, labels, random state and open descriptors of each micro-batch."""
    real, count = gradient.micro_batch_loss, 0

    def watched(model: Any, batch: Any, *rest: Any) -> torch.Tensor:
        nonlocal count
        count += 1
        notes.add(
            step=batch.step,
            number=batch.number,
            photos=digest(batch.pixels.numpy().tobytes() + batch.truth.numpy().tobytes()),
            rng=digest(torch.get_rng_state().numpy().tobytes()),
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
        )
        loss = real(model, batch, *rest)
        if order.get("micro_batch") == count:
            kill_self(notes, "in a step")
        if order.get("in_micro_batch") == count:
            os.kill(os.getpid(), order["signal"])
        if order.get("wait_in_micro_batch") == count:
            time.sleep(100)
        return loss

    replace(gradient, "micro_batch_loss", watched)


class SaveWatch:
    """Kills the process inside a save: at a fraction of its bytes, or before one of its calls."""

    def __init__(self, order: Order, notes: Notes) -> None:
        self._order, self._notes = order, notes
        self._saves = self._calls = 0
        self._inside = False
        self._wrap(os, "fsync")
        self._wrap(os, "replace")
        real_save, real_write = loop.save_checkpoint, torch.save

        def save(*arguments: Any) -> Path:
            self._saves, self._calls, self._inside = self._saves + 1, 0, True
            path = real_save(*arguments)
            self._here("the end")
            self._inside = False
            return path

        def write(state: Any, sink: Any) -> None:
            if self._order.get("save") == self._saves and "fraction" in self._order:
                counted = _Until(None, -1, lambda: None)
                real_write(state, counted)
                last = int(self._order["fraction"] * counted.taken)
                sink = _Until(sink, last, lambda: kill_self(notes, f"in a save, byte {last}"))
            real_write(state, sink)

        replace(loop, "save_checkpoint", save)
        replace(torch, "save", write)

    def _wrap(self, module: Any, name: str) -> None:
        real = getattr(module, name)

        def watched(*arguments: Any) -> Any:
            if self._inside:
                self._here(name)
            return real(*arguments)

        replace(module, name, watched)

    def _here(self, name: str) -> None:
        """Kill the process if the order names this call."""
        if self._order.get("save") == self._saves and self._order.get("call") == self._calls:
            kill_self(self._notes, f"in a save, before {name}")
        self._calls += 1


class _Until:
    """Sink that calls a function when it reaches a byte."""

    def __init__(self, sink: Any, last: int, then: Callable[[], None]) -> None:
        self.taken, self._sink, self._last, self._then = 0, sink, last, then

    def write(self, data: bytes) -> int:
        if 0 <= self._last < self.taken + len(data):
            self._sink.write(memoryview(data).cast("B")[: self._last - self.taken])
            self._then()
        self.taken += len(data)
        return self._sink.write(data) if self._sink else len(data)

    def flush(self) -> None:
        pass


def make_slow(order: Order, notes: Notes) -> None:
    """Note the start of a function and delay it."""
    name, seconds = order["slow"]
    real = getattr(loop, name)

    def slow(*arguments: Any, **named: Any) -> Any:
        notes.add(**{name: True})
        time.sleep(seconds)
        return real(*arguments, **named)

    replace(loop, name, slow)


def poison(order: Order) -> None:
    """Multiply the loss of one step by a factor."""
    step, factor = order["poison"]
    real = gradient.micro_batch_loss

    def scaled(model: Any, batch: Any, *rest: Any) -> torch.Tensor:
        loss = real(model, batch, *rest)
        return loss * float(factor) if batch.step == step else loss

    replace(gradient, "micro_batch_loss", scaled)


def limit_saves(order: Order) -> None:
    """Limit the size of files while a checkpoint is written, as a full disk does."""
    real = loop.save_checkpoint

    def limited(*arguments: Any) -> Path:
        kept = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["save_byte_limit"], kept[1]))
        try:
            return real(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, kept)

    replace(loop, "save_checkpoint", limited)


def run(order: Order, rank: int, port: int) -> None:
    """Run one process of `ophis train`; does not return."""
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 2)
    os.dup2(output, 1)
    if order["processes"] > 1:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(order["processes"])}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    mine = order if rank == order.get("rank", 0) else {}
    notes = Notes(f"{order['notes']}-{rank}")
    watch_micro_batches(mine, notes)
    SaveWatch(mine, notes)
    if "slow" in order:
        make_slow(order, notes)
    if "poison" in mine:
        poison(mine)
    if "save_byte_limit" in order:
        limit_saves(order)
    if "byte_limit" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["byte_limit"],) * 2)
    if "descriptors" in order:
        resource.setrlimit(resource.RLIMIT_NOFILE, (order["descriptors"],) * 2)
    main(order["words"])


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def begin(order: Order) -> list[int]:
    """Fork the processes of a run."""
    port, begun = free_port(), []
    for rank in range(order["processes"]):
        child = os.fork()
        if not child:
            try:
                run(order, rank, port)
            except SystemExit as status:
                sys.stderr.flush()
                os._exit(status.code if isinstance(status.code, int) else 1)
            finally:
                traceback.print_exc()
                os._exit(70)
        begun.append(child)
    return begun


def has_noted(order: Order, what: str) -> bool:
    """Return True if all processes have written a note of this kind."""
    paths = [Path(f"{order['notes']}-{rank}") for rank in range(order["processes"])]
    return all(path.exists() and f'"{what}"' in path.read_text() for path in paths)


def signal_on_order(order: Order, begun: list[int]) -> None:
    """Send a signal some seconds after all processes wrote a note."""
    if "when" not in order:
        return
    deadline = time.monotonic() + 600
    while not has_noted(order, order["when"]):
        if time.monotonic() > deadline:
            raise TimeoutError(order)
        time.sleep(0.002)
    time.sleep(order["seconds"])
    for child in begun if order.get("all") else begun[order.get("rank", 0) :][:1]:
        os.kill(child, order["signal"])


def wait(begun: list[int]) -> list[int]:
    """Return exit statuses as a shell has them; kill processes after ten minutes."""
    deadline, statuses = time.monotonic() + 600, {}
    while len(statuses) < len(begun):
        for child in begun:
            if child not in statuses:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    code = os.waitstatus_to_exitcode(status)
                    statuses[child] = code if code >= 0 else 128 - code
                elif time.monotonic() > deadline:
                    os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    return [statuses[child] for child in begun]


def state_of(folder: Path) -> dict[str, Any]:
    """Return digests of weights and optimiser state in the checkpoint of a run."""
    saved = checkpoint.load_checkpoint(folder)
    assert saved
    states = saved.optimiser["state"].items()
    tensors = saved.model | {f"{n}.{key}": v for n, one in states for key, v in one.items()}
    return {
        "step": saved.step,
        "tensors": {name: digest(t.contiguous().numpy().tobytes()) for name, t in tensors.items()},
        "finite": all(bool(tensor.isfinite().all()) for tensor in tensors.values()),
        "groups": repr(saved.optimiser["param_groups"]),
    }


def serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if "state" in order:
            answer: Any = state_of(Path(order["state"]))
        else:
            started = time.monotonic()
            begun = begin(order)
            signal_on_order(order, begun)
            signalled = time.monotonic()
            answer = {"statuses": wait(begun), "seconds_to_end": time.monotonic() - signalled}
            answer["seconds"] = time.monotonic() - started
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
