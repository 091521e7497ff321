"""Static quantisation of a bundle's convolutions to 8 bits: a quarter of the size, and faster.

The range of each convolution's input is taken from real photos; each filter has its own scale. All
other operations stay in float32. The loss of accuracy is evaluated on photos that were not learned
from, before a bundle is written.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from ophis.datasets.training_photos import content_digests
from ophis.decision.rule import DANGER_CONFIDENCE
from ophis.errors import InputError
from ophis.files.overlap import refuse_overlap
from ophis.images.test_time_augmentation import NO_TTA
from ophis.inference.batches import pixel_batches
from ophis.inference.bundles.bundle import BundleWriter, read_bundle
from ophis.inference.bundles.card_sections import about_quantised
from ophis.inference.bundles.index import IMAGES, MODEL
from ophis.inference.ensemble import (
    learned_photos,
    member_result,
    refit,
    score_timed,
    write_fitted,
)
from ophis.inference.network import Network
from ophis.inference.onnx_file import require_single_file
from ophis.inference.self_test import write_selftest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.inference.bundles.bundle import Bundle, Member
    from ophis.inference.bundles.card_sections import MemberResult
    from ophis.scores.scores import Scores

MAX_PHOTOS = 256  # for the ranges
MAX_LOSS = 0.005  # of top-1 and of macro F1
NAMES = ("float32", "int8")


def quantise(
    folder: str | Path,
    out: str | Path,
    *,
    train: Manifest,
    validation: Manifest,
    most_loss: float = MAX_LOSS,
    danger_confidence: float | None = DANGER_CONFIDENCE,
    progress: Callable[[int], None] | None = None,
) -> tuple[MemberResult, ...]:
    """Write an 8-bit bundle of another bundle, and evaluate both.

    Calibration, prior and rule are fitted on the scores of the new network.

    Args:
        folder: a bundle of one network.
        out: the bundle folder to write; an older bundle there is replaced.
        train: photos that it learned from, or similar ones; ranges are taken from at most 256.
        validation: labelled photos that it did not learn from, and no ranges are taken from. If
            the bundle does not list its training photos, the new one gets no calibration and no
            guarantees.
        most_loss: loss of top-1 accuracy and macro F1 that is accepted, in [0, 1].
        danger_confidence: of the guarantee on the danger; None: on average, see `fit_rule`.
        progress: called with the number of photos done since the last call.

    Returns:
        The results of the old bundle and of the new one.

    Raises:
        InputError: before anything is written, when the bundle is an ensemble, is quantised already
            or keeps tensors in other files, no photo can be read, a validation photo has the
            content of a training photo, or too much accuracy is lost.
    """
    bundle = read_bundle(folder)
    member = _only_member(bundle)
    _require_input(bundle, out, validation)
    learned = learned_photos([bundle], validation, [content_digests(_for_ranges(train))])
    with BundleWriter(out) as writer:
        eight = replace(member, model=writer.folder / MODEL)
        quantise_network(member, eight.model, train=train)
        write_selftest(eight, rounded=True)
        shutil.copy(bundle.folder / IMAGES, writer.folder / IMAGES)
        members, scores = _evaluate((member, eight), validation, progress)
        _require_little_loss(members, most_loss)
        known = None if learned is None else scores
        parts = refit(bundle.prior, known, confidence=danger_confidence)
        sizes = tuple(m.model.stat().st_size for m in (member, eight))
        about = about_quantised(bundle, members, sizes=sizes)
        write_fitted(writer, scores, learned, parts=parts, about=about)
    return members


def _require_input(bundle: Bundle, out: str | Path, validation: Manifest) -> None:
    refuse_overlap([bundle.folder], folders=[out])
    if (validation.truth(bundle.species) < 0).all():
        raise InputError("no validation photo has a species to compare with; label some")


def _only_member(bundle: Bundle) -> Member:
    if len(bundle.members) > 1 or bundle.tta != NO_TTA:
        raise InputError(
            f"{bundle.folder} is an ensemble; quantise its members, then combine these"
        )
    (member,) = bundle.members
    require_single_file(member.model)  # onnx, unlike the engines, would read other files
    if any(node.op_type == "QuantizeLinear" for node in onnx.load(member.model).graph.node):
        raise InputError(
            f"{bundle.folder} is quantised already; quantise the bundle it was made of"
        )
    return member


def quantise_network(member: Member, out: Path, *, train: Manifest) -> None:
    """Write the member's network with most convolutions in 8 bits; see `_float_convolutions`.

    Filters have 7 bits, because sums of two 8-bit products overflow on CPUs without VNNI. So the
    logits of a photo do not depend on the CPU.

    Raises:
        InputError: when no photo can be read.
    """
    with tempfile.TemporaryDirectory() as folder, _quietly():
        plain = Path(folder) / MODEL
        quant_pre_process(member.model, plain, skip_symbolic_shape=True)
        quantize_static(
            plain,
            out,
            _Ranges(member, train),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_float_convolutions(onnx.load(plain), len(member.species)),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"CalibMovingAverage": True},
        )


def _for_ranges(train: Manifest) -> Manifest:
    """Return the photos that the ranges are taken from."""
    order = np.random.default_rng(0).permutation(len(train))
    return train.take(np.sort(order[:MAX_PHOTOS]))


class _Ranges(CalibrationDataReader):
    """Photos for the ranges, one by one; unreadable ones are skipped."""

    def __init__(self, member: Member, train: Manifest) -> None:
        self._batches = pixel_batches(
            _for_ranges(train),
            preprocessing=member.preprocessing,
            batch_photos=1,
        )
        self._seen = 0

    def get_next(self) -> dict[str, NDArray[np.float32]]:
        """Return the network's input for the next photo; an empty dict after the last."""
        for batch in self._batches:
            if batch.rows:
                self._seen += 1
                return {"pixels": batch.pixels}
        if not self._seen:
            raise InputError("none of the training photos can be read; give others for the ranges")
        return {}


def _float_convolutions(model: onnx.ModelProto, species: int) -> list[str]:
    """Return the convolutions that stay in float32: heads and depthwise ones.

    A head takes little time, and its errors are those of the logits. A depthwise convolution sums
    few products, so that rounding errors do not average out: with them in 8 bits the logits of an
    EfficientNet-Lite0 differ twice as much (docs/log.md).
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return [
        node.name
        for node in convolutions
        if shapes[node.input[1]][::2] == (species, 1)
        or any(a.name == "group" and a.i > 1 for a in node.attribute)
    ]


def _evaluate(
    members: Sequence[Member], validation: Manifest, progress: Callable[[int], None] | None
) -> tuple[tuple[MemberResult, ...], Scores]:
    """Return the results of both members, and the scores of the second."""
    networks = [Network(member, member.species) for member in members]
    found = [score_timed(network, validation, NO_TTA, progress) for network in networks]
    results = (member_result(name, *figures) for name, figures in zip(NAMES, found, strict=True))
    return tuple(results), found[-1][0]


def _require_little_loss(members: Sequence[MemberResult], most: float) -> None:
    before, after = (member.evaluation for member in members)
    for name in ("top1", "macro_f1"):
        lost = getattr(before, name) - getattr(after, name)
        if lost > most:
            raise InputError(
                f"in 8 bits {100 * lost:.1f} points of {name} are lost on {after.photos:,} photos,"
                f" more than {100 * most:g}; nothing was written; accept a larger loss, or keep the"
                " bundle as it is"
            )


@contextmanager
def _quietly() -> Generator[None]:
    """Silence ONNX Runtime's quantiser, which logs advice to the root logger."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
