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
from ophis.card import run_card
from ophis.decision import default_rule, halves
from ophis.errors import InputError
from ophis.metrics import evaluate
from ophis.prior import read_counts
from ophis.scores import read_scores, softmax
from ophis.sides import PRIOR, SCORES, read_facts
from ophis.train import run
from ophis.train.familiarity import FILE as FAMILIARITY
from ophis.train.familiarity import Familiarity, WithNovelty
from ophis.train.model import fold_weight_standardisation
from ophis.vector_scaling import default_calibration

if TYPE_CHECKING:
    from torch import nn

    from ophis.calibration import Calibration
    from ophis.decision import DecisionRule
    from ophis.images import Preprocessing
    from ophis.prior import Prior
    from ophis.taxa import SpeciesList

OUTPUTS = ("logits", "novelty")
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
    # Promises are made on photos that calibration and prior were not fitted on.
    fitting, judging = halves(scores) if scores else (None, None)
    if prior is None:
        prior = default_prior(read_counts(trained.folder / PRIOR, trained.species), fitting)
    calibration = default_calibration(fitting)
    rule = default_rule(judging, calibration=calibration, prior=prior)
    path = trained.folder / FAMILIARITY
    return write_bundle(
        run.model_of(trained),
        out,
        familiarity=Familiarity.read(path) if path.is_file() else None,
        species=trained.species,
        preprocessing=recipe.preprocessing,
        calibration=calibration,
        prior=prior,
        rule=rule,
        card=run_card(
            recipe,
            trained.species,
            step=trained.checkpoint.step,
            facts=read_facts(trained.folder),
            evaluation=evaluate(scores) if scores else None,
            calibration=calibration,
            prior=prior,
            rule=rule,
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
    rule: DecisionRule | None,
    card: str,
    familiarity: Familiarity | None = None,
) -> Path:
    """Write a bundle of any torch model that takes [photos, 3, side, side] and gives logits.

    With ``familiarity`` the network, one of timm's, gives each photo's novelty too.
    """
    model = fold_weight_standardisation(model).eval()
    if familiarity:
        model = WithNovelty(model, familiarity).eval()
    with BundleWriter(out) as writer:
        writer.write(
            species=species,
            preprocessing=preprocessing,
            calibration=calibration,
            prior=prior,
            rule=rule,
            card=card,
        )
        write_onnx(model, writer.folder / MODEL, side=preprocessing.pixels)
        check_parity(model, writer.folder / MODEL, side=preprocessing.pixels)
    return Path(out)


def write_onnx(model: nn.Module, path: Path, *, side: int) -> None:
    """Write the network as one ONNX file: input `pixels`, any number of photos.

    Outputs are `logits` and, of a `WithNovelty`, `novelty`.
    """
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
                output_names=list(OUTPUTS if isinstance(model, WithNovelty) else OUTPUTS[:1]),
                dynamic_shapes=({0: photos},),
                external_data=False,
                verbose=False,
            )
    finally:
        quiet.setLevel(before)


def check_parity(model: nn.Module, path: Path, *, side: int, photos: int = 4) -> float:
    """Largest difference of a probability between torch and ONNX Runtime on made pixels.

    Raises:
        InputError: when it exceeds 1e-4, or the novelty differs by more than 0.1 %.
    """
    import onnxruntime  # noqa: PLC0415 - only here does the training side need it

    chance = np.random.default_rng(0)
    pixels = chance.uniform(-1, 1, size=(photos, 3, side, side)).astype(np.float32)
    with torch.inference_mode():
        outputs = model(torch.from_numpy(pixels))
    expected = [o.numpy() for o in (outputs if isinstance(outputs, tuple) else (outputs,))]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = [np.asarray(output) for output in session.run(None, {"pixels": pixels})]
    difference = float(np.abs(softmax(found[0]) - softmax(expected[0])).max())
    if difference > TOLERANCE:
        raise InputError(
            f"the exported model differs from torch by {difference:.1e} in a probability,"
            f" more than {TOLERANCE:.0e}; no bundle was written"
        )
    for here, there in zip(found[1:], expected[1:], strict=True):
        if not np.allclose(here, there, rtol=1e-3, atol=1e-3):
            raise InputError(
                "the novelty of the exported model differs from torch's by more than 0.1 %;"
                " no bundle was written"
            )
    return difference
