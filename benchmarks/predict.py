"""Inference speed of a BiT-R50x1 at 456 pixels: float32, 8 bits and bfloat16, against its peers.

    python benchmarks/predict.py [--photos MANIFEST] [--rounds 9]

One network with random weights (speed does not depend on them) is exported as by `ophis export`,
and run by `ophis.inference.network.Network`, as in `ophis identify`. The peers are
Big Transfer as its authors run it (`bit_original.py`) and timm's model, both in torch on the same
number of threads, and OpenVINO on the same file. The pixels are the same, read from photos.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from bit_original import with_weights_of
from side_by_side import Row, arguments, report, row, timed

from ophis import SpeciesList, read_manifest
from ophis.datasets.synthetic import sample
from ophis.images.preprocessing import Preprocessing
from ophis.inference.batches import pixel_batches
from ophis.inference.bundles.bundle import read_bundle
from ophis.inference.engine import EngineKind
from ophis.inference.network import Network
from ophis.train.export import write_bundle
from ophis.train.export.quantisation import quantise_network
from ophis.train.networks.model import create_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ophis import Manifest
    from ophis.inference.bundles.bundle import Member

    Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]

SPECIES = SpeciesList(tuple(f"Species {number:03}" for number in range(783)))
THREADS = os.cpu_count() or 1
HALF = (0.5, 0.5, 0.5)


def main() -> None:
    """Make the bundle, run it, print the rows."""
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = read_manifest(options.photos or sample(folder / "photos", count=36))
        model = create_model(
            "resnetv2_50x1_bit", species=len(SPECIES), weights="none", head="random"
        )
        member = bundled(model.eval(), folder / "bundle")
        pixels = pixels_of(manifest, member, number=8)
        report(rows(model, member, manifest, pixels, options.rounds), options.rows)


def bundled(model: torch.nn.Module, folder: Path) -> Member:
    """Return the network as `ophis export` writes it."""
    write_bundle(
        model, folder, species=SPECIES, preprocessing=Preprocessing(456, HALF, HALF),
        calibration=None, prior=None, rule=None,
    )  # fmt: skip
    return read_bundle(folder).members[0]


def pixels_of(manifest: Manifest, member: Member, *, number: int) -> NDArray[np.float32]:
    """Return the network's input, [photos, 3, 456, 456]."""
    (batch,) = pixel_batches(
        manifest.take(np.arange(number)), preprocessing=member.preprocessing, batch_photos=number
    )
    return batch.pixels


def rows(
    model: torch.nn.Module,
    member: Member,
    manifest: Manifest,
    pixels: NDArray[np.float32],
    rounds: int,
) -> list[Row]:
    """Return all rows: batch 1 in float32 and 8 bits, batch 8 in bfloat16."""
    original = in_torch(with_weights_of(model, len(SPECIES)))
    eight = replace(member, model=member.model.with_name("eight.onnx"))
    quantise_network(member, eight.model, train=manifest)
    published, timms = "Big Transfer, re-written", f"timm {version('timm')}"
    runtime = f"ONNX Runtime {version('onnxruntime')}"
    brain = f"OpenVINO {version('openvino')}"
    plain, small = in_engine(member), in_engine(eight)
    wide = in_engine(member, EngineKind.OPENVINO_BFLOAT16)
    few = max(3, rounds // 2)
    cases = (
        (f"1 photo, float32 ({runtime})", published, plain, original, 1, 1.8),
        (f"1 photo, float32 ({runtime})", timms, plain, in_torch(model), 1, 1.4),
        (f"1 photo, 8 bits ({runtime})", published, small, original, 1, 4.0),
        (f"8 photos, bfloat16 ({brain})", published, wide, original, 8, 4.0),
        (f"8 photos, bfloat16 ({brain})", f"ophis, float32, {runtime}", wide, plain, 8, None),
    )
    return [
        line(work, peer, both, pixels[:number], rounds if number == 1 else few, reach)
        for work, peer, *both, number, reach in cases
    ]


def in_engine(member: Member, engine: EngineKind = EngineKind.ONNXRUNTIME) -> Infer:
    """Return the inference of ophis."""
    network = Network(member, SPECIES, threads=THREADS, engine=engine)
    return lambda pixels: network.outputs(pixels)[0]


def in_torch(model: torch.nn.Module) -> Infer:
    """Return the inference of a torch model: no gradients, the default layout, float32."""

    @torch.inference_mode()
    def infer(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return model(torch.from_numpy(pixels)).numpy()

    return infer


def line(
    work: str,
    peer: str,
    both: Sequence[Infer],
    pixels: NDArray[np.float32],
    rounds: int,
    reach: float | None,
) -> Row:
    """Return a row: both on the same pixels, and the difference of their logits."""
    own, other = both
    found, expected = own(pixels), other(pixels)
    apart = np.abs(found - expected).max()
    figures = timed(lambda: own(pixels), lambda: other(pixels), rounds=rounds)
    difference = f"logits {apart:.1e} of {np.ptp(expected):.2g}"
    named = f"predict, {work}, {THREADS} threads"
    return row(named, peer, figures, difference=difference, reach=reach)


if __name__ == "__main__":
    main()
