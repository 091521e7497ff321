"""Export of a torch network as an ONNX file, and its numeric check against torch."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ophis.errors import InputError
from ophis.files.content import reason_of
from ophis.files.names import path_or_content
from ophis.inference.evidence import OUTPUTS as EVIDENCE
from ophis.scores.scores import softmax

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

TOLERANCE = 1e-4  # of a probability, between torch and ONNX Runtime


def write_onnx(
    model: nn.Module, path: Path, *, side: int, outputs: tuple[str, ...] = ("logits",)
) -> None:
    """Write the network as one ONNX file with input `pixels` and any number of photos.

    Args:
        model: [photos, 3, side, side] to one output or several.
        path: of the ONNX file.
        side: pixels of a photo's side.
        outputs: their names: `logits`, then `ood_score` if there is one, then those of `EVIDENCE`.

    Raises:
        InputError: for a network that torch's exporter does not support, such as MaxViT.
    """
    example = torch.zeros(2, 3, side, side)
    photos = torch.export.Dim("photos", min=1)
    quiet = logging.getLogger("torch.onnx")
    before = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        # The exporter prints its progress and warns about its internals.
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (example,),
                str(path),
                input_names=["pixels"],
                output_names=list(outputs),
                dynamic_shapes=({0: photos},),
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:  # with pages of advice
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise InputError(
            f"torch cannot write this network as ONNX ({reason_of(cause)}); train another backbone"
        ) from None
    finally:
        quiet.setLevel(before)


def check_parity(model: nn.Module, path: Path, *, side: int, photos: int = 4) -> float:
    """Return the largest difference of a probability between torch and ONNX Runtime.

    Both score the same random pixels.

    Raises:
        InputError: when it exceeds 1e-4, or OOD score or evidence differ by more than 0.1 %.
    """
    import onnxruntime  # noqa: PLC0415 - for this check alone

    rng = np.random.default_rng(0)
    pixels = rng.uniform(-1, 1, size=(photos, 3, side, side)).astype(np.float32)
    with torch.inference_mode():
        outputs = model(torch.from_numpy(pixels))
    expected = [o.numpy() for o in (outputs if isinstance(outputs, tuple) else (outputs,))]
    session = onnxruntime.InferenceSession(
        path_or_content(path), providers=["CPUExecutionProvider"]
    )
    found = [np.asarray(output) for output in session.run(None, {"pixels": pixels})]
    difference = float(np.abs(softmax(found[0]) - softmax(expected[0])).max())
    if difference > TOLERANCE:
        raise InputError(
            f"the exported model differs from torch by {difference:.1e} in a probability,"
            f" more than {TOLERANCE:.0e}; no bundle was written"
        )
    for here, there in zip(_comparable(found), _comparable(expected), strict=True):
        if not np.allclose(here, there, rtol=1e-3, atol=1e-3):
            raise InputError(
                "the OOD score or the evidence of the exported model differs from torch's by more"
                " than 0.1 %; no bundle was written"
            )
    return difference


def _comparable(outputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the OOD score, and the evidence maps sorted, because ties have no order."""
    _, *others = outputs
    if len(others) < len(EVIDENCE):
        return others
    *ood_score, maps, _ = others
    return [*ood_score, np.sort(maps.mean(axis=(2, 3)), axis=1)]
