"""Processes of a training run: one, or several under torchrun, with the sums over them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist

from ophis.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Self

    from torch import nn


T = TypeVar("T")
TIMEOUT = timedelta(minutes=30)


@dataclass
class Processes:
    """Processes of a training run; a single one unless torchrun started it.

    As a context manager it joins and leaves the process group.

    Attributes:
        device: of this process.
        rank: of this process.
        count: of all processes.
    """

    device: torch.device
    rank: int = 0
    count: int = 1

    @classmethod
    def from_environment(cls, device: str = "auto") -> Self:
        """Read torchrun's environment variables and choose the device.

        Raises:
            InputError: when the device does not exist here.
        """
        local = int(os.environ.get("LOCAL_RANK", "0"))
        return cls(
            device=choose_device(device, local),
            rank=int(os.environ.get("RANK", "0")),
            count=int(os.environ.get("WORLD_SIZE", "1")),
        )

    def __enter__(self) -> Self:
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # pays off: all steps have one shape
        if self.count > 1:
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            dist.init_process_group(
                backend, store=_store(), rank=self.rank, world_size=self.count, timeout=TIMEOUT
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self.count > 1:
            dist.destroy_process_group()

    @property
    def leads(self) -> bool:
        """True for the process that writes files and reports progress."""
        return self.rank == 0

    def sum_gradients(self, model: nn.Module) -> None:
        """Add the gradients of all processes; each had its own micro-batches of the step."""
        if self.count > 1:
            self._sum_flat([p.grad for p in model.parameters() if p.grad is not None])

    def average_statistics(self, model: nn.Module) -> None:
        """Average the running statistics of batch norms in training mode over the processes.

        After every step and not only before saves: the times of saves may change no number.
        """
        if self.count > 1:
            learning = (module for module in model.modules() if module.training)
            held = (b for module in learning for b in module.buffers(recurse=False))
            buffers = [b for b in held if b.is_floating_point()]
            self._sum_flat(buffers)
            for buffer in buffers:
                buffer.div_(self.count)

    def any(self, *, here: bool) -> bool:
        """Return whether a condition holds in any process; the same in all of them."""
        if self.count == 1:
            return here
        flag = torch.tensor(float(here), device=self.device)
        _sum(flag)
        return bool(flag.item())

    def gather(self, mine: T) -> list[T]:
        """Return an object of each process, in the order of their ranks."""
        everyone = [mine] * self.count
        if self.count > 1:
            with _exchange():
                dist.all_gather_object(everyone, mine)
        return everyone

    def total(self, value: float) -> float:
        """Return the sum of a number over the processes."""
        if self.count == 1:
            return value
        sum_ = torch.tensor(value, device=self.device, dtype=torch.float64)
        _sum(sum_)
        return float(sum_)

    @staticmethod
    def _sum_flat(tensors: list[torch.Tensor]) -> None:
        """Sum tensors in one exchange; hundreds of small ones would each cost their latency."""
        if not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        _sum(flat)
        for tensor, part in zip(tensors, _parts(flat, tensors), strict=True):
            tensor.copy_(part)


def _store() -> dist.Store:
    """Return the store with the addresses of the processes.

    torchrun keeps one store over all its restarts. Without a prefix for each restart, a process may
    find the addresses of ended ones (pytorch issue 135712). On several machines each torchrun has a
    restart count of its own, so there each restart needs a new store.

    Raises:
        InputError: naming the variable that makes torchrun open a new store.
    """
    kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    restarts = int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0"))
    machines = int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    if kept and restarts and machines > 1:
        raise InputError(
            "torchrun --max-restarts on several machines: set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"
            " where torchrun is started, on each of them; a restart would not find its processes"
        )
    store, _, _ = next(dist.rendezvous("env://", timeout=TIMEOUT))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if machines == 1 else "any"
    return dist.PrefixStore(f"attempt-{attempt}", store)


def _sum(tensor: torch.Tensor) -> None:
    """Sum over the processes, in place, and wait for the result."""
    with _exchange():
        dist.all_reduce(tensor)


@contextmanager
def _exchange() -> Generator[None]:
    """Turn a failed exchange into one line; the traceback would not name the cause."""
    try:
        yield
    except RuntimeError as error:
        reason = first_line(error)
        raise InputError(
            f"another process of this run ended ({reason}); see its own last line;"
            " the same command goes on from the last checkpoint"
        ) from None


def _parts(flat: torch.Tensor, tensors: list[torch.Tensor]) -> Iterator[torch.Tensor]:
    start = 0
    for tensor in tensors:
        yield flat[start : start + tensor.numel()].view(tensor.shape)
        start += tensor.numel()


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device of a name; "auto" is this process's GPU, or the CPU where there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"no device is called {name!r}; use auto, cpu or cuda") from None
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise InputError(f"device {name}: this machine has no usable CUDA device; use cpu")
        device = torch.device("cuda", local_rank if device.index is None else device.index)
        torch.cuda.set_device(device)
    return device


def on_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a tensor to a device; to a GPU asynchronously.

    Copies from pageable memory wait for all work queued on the GPU; from pinned memory they do not,
    and torch keeps the memory until the copy is done.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the autocast type of a precision, or None for plain float32.

    "auto" is bfloat16 where the device has instructions for it: on a CPU without them it is
    emulated and slower than float32.
    """
    if precision == "float32":
        return None
    if precision == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    flags = torch.cpu.get_capabilities()
    return torch.bfloat16 if flags.get("avx512_bf16") or flags.get("amx_bf16") else None
