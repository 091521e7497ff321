"""Training steps through torch.compile, on CUDA devices.

The compiled network shares its parameters with the plain one. Checkpoints, validation and export
use the plain one.
"""

from __future__ import annotations

import os
import shutil
from importlib import util
from typing import TYPE_CHECKING, cast

import torch

from ophis.errors import InputError

if TYPE_CHECKING:
    from torch import nn

COMPILERS = ("cc", "gcc", "clang")  # torch.compile builds Triton's launchers with one of them


def require_compiler(device: torch.device) -> None:
    """Refuse a device or a machine on which torch.compile cannot speed up training.

    Raises:
        InputError: without a CUDA device, Triton or a C compiler.
    """
    if device.type != "cuda":
        raise InputError(f"compile needs a CUDA device, not {device}; train without it")
    if util.find_spec("triton") is None:
        raise InputError("compile needs the package triton; pip install triton")
    compilers = (os.environ.get("CC"), *COMPILERS)
    if not any(name and shutil.which(name) for name in compilers):
        raise InputError("compile needs a C compiler; install gcc, or name one in CC")


def compile_network(model: nn.Module) -> nn.Module:
    """Return the network compiled for input of one shape; compiling starts at the first batch."""
    return cast("nn.Module", torch.compile(model, dynamic=False))


def is_compiled(model: nn.Module) -> bool:
    """Return true for a module that torch.compile made."""
    return hasattr(model, "_orig_mod")
