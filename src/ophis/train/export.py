"""From a run folder to a bundle: torch to ONNX, with a numeric check before anything is kept."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ophis.bayes import default_prior
from ophis.bundle import MODEL, BundleWriter
from ophis.calibration import default_calibration
from ophis.card import run_card
from ophis.errors import InputError
from ophis.metrics import evaluate
from ophis.prior import read_counts
from ophis.scores import read_scores, softmax
from ophis.sides import PRIOR, SCORES, read_facts
from ophis.train import run
from ophis.train.model import fold_weight_standardisation

if TYPE_CHECKING:
    from torch import nn

    from ophis.calibration import Calibration
    from ophis.images import Preprocessing
    from ophis.prior import Prior
    from ophis.taxa import SpeciesList

TOLERANCE = 1e-4  # of a probability, between torch and ONNX Runtime


def export(folder: str | Path, out: str | Path, *, prior: Prior | None = None) -> Path:
    """Make a bundle of a run: the model as its checkpoint has it, species, prior and card.

    Args:
        folder: what `fit` returned.
        out: the bundle folder; an older bundle there is replaced.
        prior: what a country says; by default what wins on the run's validation scores, see
            `bayes.default_prior`.

    Raises:
        InputError: when the folder is no run, or ONNX Runtime's probabilities differ from
            torch's by more than 1e-4.
    """
    trained = run.read_run(folder)
    recipe = trained.recipe
    scores = read_scores(path) if (path := trained.folder / SCORES).is_file() else None
    if prior is None:
        prior = default_prior(read_counts(trained.folder / PRIOR, trained.species), scores)
    calibration = default_calibration(scores)
    return write_bundle(
        run.model_of(trained),
        out,
        species=trained.species,
        preprocessing=recipe.preprocessing,
        calibration=calibration,
        prior=prior,
        card=run_card(
            recipe,
            trained.species,
            step=trained.checkpoint.step,
            facts=read_facts(trained.folder),
            evaluation=evaluate(scores) if scores else None,
            calibration=calibration,
            prior=prior,
        ),
    )


def write_bundle(
    model: nn.Module,
    out: str | Path,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    calibration: Calibration | None,
    prior: Prior | None,
    card: str,
) -> Path:
    """Write a bundle of any torch model that takes [photos, 3, side, side] and gives logits."""
    model = fold_weight_standardisation(model).eval()
    with BundleWriter(out) as writer:
        writer.write(
            species=species,
            preprocessing=preprocessing,
            calibration=calibration,
            prior=prior,
            card=card,
        )
        write_onnx(model, writer.folder / MODEL, side=preprocessing.pixels)
        check_parity(model, writer.folder / MODEL, side=preprocessing.pixels)
    return Path(out)


def write_onnx(model: nn.Module, path: Path, *, side: int) -> None:
    """Write the network as one ONNX file: input `pixels`, output `logits`, any number of photos."""
    example = torch.zeros(2, 3, side, side)
    photos = torch.export.Dim("photos", min=1)
    quiet = logging.getLogger("torch.onnx")
    before = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        # The exporter tells its progress on stdout and warns of its own internals.
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (example,),
                str(path),
                input_names=["pixels"],
                output_names=["logits"],
                dynamic_shapes=({0: photos},),
                external_data=False,
                verbose=False,
            )
    finally:
        quiet.setLevel(before)


def check_parity(model: nn.Module, path: Path, *, side: int, photos: int = 4) -> float:
    """Largest difference of a probability between torch and ONNX Runtime on made pixels.

    Raises:
        InputError: when it exceeds 1e-4, or another class comes first.
    """
    import onnxruntime  # noqa: PLC0415 - only here does the training side need it

    chance = np.random.default_rng(0)
    pixels = chance.uniform(-1, 1, size=(photos, 3, side, side)).astype(np.float32)
    with torch.inference_mode():
        expected = softmax(model(torch.from_numpy(pixels)).numpy())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"pixels": pixels})
    difference = float(np.abs(softmax(np.asarray(logits)) - expected).max())
    if difference > TOLERANCE:
        raise InputError(
            f"the exported model differs from torch by {difference:.1e} in a probability,"
            f" more than {TOLERANCE:.0e}; no bundle was written"
        )
    return difference
