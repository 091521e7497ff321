"""Report on this machine: processor, packages, settings, and the speed of a bundle."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.inference.bundles.index import verify_weights
from ophis.inference.engine import EngineKind
from ophis.inference.memory import takes_settings
from ophis.inference.network import BATCH_PHOTOS, Network

if TYPE_CHECKING:
    from ophis.inference.bundles.bundle import Bundle

PACKAGES = {
    "numpy": "core",
    "pillow": "core",
    "onnxruntime": "core",
    "polars": "core",
    "openvino": "openvino",
    "torch": "train",
    "timm": "train",
    "simplejpeg": "core",
    "ray": "ray",
    "huggingface-hub": "hub",
    "fastapi": "serve",
    "pillow-heif": "heic",
    "matplotlib": "report",
}
# Instructions that make 8-bit and bfloat16 arithmetic fast, by their names in Linux.
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
REPEATS = 3
_WEIGHTS = {True: "as bundle.json has them", False: "changed or cut short", None: None}


def doctor(bundle: Bundle | None = None) -> dict[str, dict[str, Any]]:
    """Return facts about machine, packages and settings, and time a bundle on each engine.

    Returns:
        Facts by heading and name. A missing package is None.
    """
    facts = {
        "machine": _machine(),
        "packages": {name: _version(name) for name in PACKAGES},
        "settings": _settings(),
        "devices": _devices(),
    }
    if bundle:
        facts["bundle"] = _bundle_facts(bundle)
    return facts


def _machine() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": usable_cores(),
        "instructions": ", ".join(_instructions()) or "not known",
        "python": sys.version.split()[0],
        "ophis": _version("ophis"),
    }


def processor() -> str:
    """Return the name of the processor."""
    return _cpuinfo("model name") or platform.processor() or "not known"


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def _instructions() -> list[str]:
    there = set(_cpuinfo("flags").split())
    return [name for name in INSTRUCTIONS if name in there]


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    values = [
        value for name, _, value in (line.partition(":") for line in lines) if name.strip() == key
    ]
    return values[0].strip() if values else ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _settings() -> dict[str, Any]:
    allocator = os.environ.get("LD_PRELOAD") or platform.libc_ver()[0] or "not known"
    return {
        "allocator": allocator,
        "freed memory": "kept by train and score" if takes_settings() else "given back",
        "threads that answer": "one a core, as ONNX Runtime chooses",
        "threads that read photos": usable_cores(),
        "photos a batch": BATCH_PHOTOS,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
    }


def _devices() -> dict[str, Any]:
    """Return the devices for training; importing torch takes seconds."""
    if find_spec("torch") is None:
        return {"cpu": "yes", "cuda": None}
    import torch  # noqa: PLC0415 - only here, where seconds do not matter

    names = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return {"cpu": "yes", "cuda": ", ".join(names) or "no"}


def _bundle_facts(bundle: Bundle) -> dict[str, Any]:
    """Return facts about a bundle, and milliseconds a grey photo on each engine."""
    found: dict[str, Any] = {
        "folder": str(bundle.folder),
        "version": bundle.version,
        "files": "as bundle.json has them",  # else `read_bundle` had refused it
        "torch weights": _WEIGHTS[verify_weights(bundle.folder)],
        "species": len(bundle.species),
        "networks": len(bundle.members),
        "evaluated on photos": "yes" if bundle.rule else "no: its names are for trying out only",
        "country": bundle.prior.describe() if bundle.prior else None,
    }
    for kind in EngineKind:
        try:
            networks = [Network(m, bundle.species, engine=kind) for m in bundle.members]
        except InputError as error:
            found[kind] = str(error)
            continue
        found[kind] = f"{sum(map(_milliseconds, networks)):.1f} ms a photo"
    return found


def _milliseconds(network: Network) -> float:
    side = network.member.preprocessing.pixels
    grey = np.zeros((1, 3, side, side), np.float32)
    network.outputs(grey)
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        network.outputs(grey)
        seconds.append(time.perf_counter() - started)
    return 1000 * min(seconds)
