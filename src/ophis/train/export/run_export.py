"""Export of a run folder as a bundle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ophis.datasets.training_photos import read_training_photos, require_unseen_by, union
from ophis.decision.rule import DANGER_CONFIDENCE, default_rule
from ophis.decision.vector_scaling import default_calibration
from ophis.errors import InputError
from ophis.evaluation.results import evaluate_bundle
from ophis.evaluation.run import PRIOR, SCORES, read_facts
from ophis.inference.bundles.card_sections import about_run
from ophis.priors.country_counts import CountryPrior, read_counts
from ophis.priors.selection import default_prior
from ophis.scores.scores import read_scores
from ophis.scores.validation import validation_halves
from ophis.train.export.bundle import write_bundle
from ophis.train.export.imagenet17 import IMAGENET17, export_imagenet17
from ophis.train.model_scores import final_scores
from ophis.train.networks.trial import answer_fault
from ophis.train.out_of_distribution import FILE as OOD_MODEL_FILE
from ophis.train.out_of_distribution import OodModel
from ophis.train.processes import Processes
from ophis.train.run_folder import RunInputs, model_of, read_run

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from ophis.datasets.manifest import Manifest
    from ophis.decision.calibration import Calibration
    from ophis.decision.rule import DecisionRule
    from ophis.evaluation.results import EvaluationResults
    from ophis.priors.prior import Prior
    from ophis.scores.scores import Scores
    from ophis.train.run_folder import Run


@dataclass(frozen=True)
class Retest:
    """Photos resized to another size than the recipe's; more pixels than in training often help.

    Attributes:
        pixels: side of the resized photos.
        train: training photos of the run; the out-of-distribution score is fitted again on them.
        validation: validation photos of the run; they are scored again.
    """

    pixels: int
    train: Manifest
    validation: Manifest


def export(
    run: str | Path,
    out: str | Path,
    *,
    prior: Prior | None = None,
    retest: Retest | None = None,
    danger_confidence: float | None = DANGER_CONFIDENCE,
    weights: bool = True,
) -> Path:
    """Write the bundle of a run: network, species, calibration, prior, decision rule and card.

    Args:
        run: a run folder, or "imagenet17"; see `export_imagenet17`.
        out: the bundle folder; an older bundle there is replaced.
        prior: p(species | country); by default the best on the run's validation scores, see
            `default_prior`.
        retest: photos resized to another size, and all that is fitted on them.
        danger_confidence: of the guarantee on the danger; None: on average, see `fit_rule`.
        weights: write the torch weights too, for timm and for further training.

    Returns:
        The bundle folder.

    Raises:
        InputError: when the folder is not a run, the manifests are not those of the run, a
            validation photo has the content of a training photo, or ONNX Runtime's probabilities
            differ from torch's by more than 1e-4.
    """
    if run == IMAGENET17:
        if prior or retest:
            raise InputError(f"{IMAGENET17} takes neither a prior nor photos; leave them out")
        return export_imagenet17(out, weights=weights)
    trained, ood_model, scores = _score_again(run, retest) if retest else _read_scored(run)
    if scores is not None:
        require_unseen_by(trained.folder, scores.photo_ids, scores.sha256)
    # Guarantees hold on photos that calibration and prior were not fitted on.
    fitting, guaranteeing = validation_halves(scores) if scores else (None, None)
    if prior is None:
        prior = default_prior(read_counts(trained.folder / PRIOR, trained.species), fitting)
    calibration = default_calibration(fitting)
    rule = default_rule(
        guaranteeing, calibration=calibration, prior=prior, confidence=danger_confidence
    )
    results = _evaluate(trained, scores, calibration=calibration, prior=prior, rule=rule)
    return write_bundle(
        model_of(trained),
        out,
        species=trained.species,
        preprocessing=trained.recipe.preprocessing,
        calibration=calibration,
        prior=prior,
        rule=rule,
        results=results,
        ood_model=ood_model,
        training_photos=read_training_photos(trained.folder),
        weights=weights,
    )


def _evaluate(
    trained: Run,
    scores: Scores | None,
    *,
    calibration: Calibration | None,
    prior: Prior | None,
    rule: DecisionRule | None,
) -> EvaluationResults:
    """Return the results for the card."""
    facts, step = read_facts(trained.folder), trained.checkpoint.step
    return evaluate_bundle(
        scores,
        calibration=calibration,
        prior=prior,
        rule=rule,
        counts=read_counts(trained.folder / PRIOR, trained.species),
        facts=facts,
        about=about_run(trained.recipe, trained.species, step=step, facts=facts),
    )


def _read_scored(folder: str | Path) -> tuple[Run, OodModel | None, Scores | None]:
    """Read a run, its out-of-distribution model and its validation scores."""
    trained = read_run(folder)
    path, saved = trained.folder / OOD_MODEL_FILE, trained.folder / SCORES
    ood_model = OodModel.read(path) if path.is_file() else None
    return trained, ood_model, read_scores(saved) if saved.is_file() else None


def _score_again(folder: str | Path, retest: Retest) -> tuple[Run, OodModel, Scores]:
    """Read a run, replace its test_pixels, and score its photos at this size."""
    trained = read_run(folder)
    recipe = replace(trained.recipe, test_pixels=retest.pixels)
    trained = replace(trained, recipe=recipe)
    listed = read_training_photos(trained.folder)
    learned = union([] if listed is None else [listed])
    inputs = RunInputs(recipe, retest.train, retest.validation, trained.species, learned=learned)
    _require_photos_of_run(trained, inputs)
    model = model_of(trained)
    _require_pixels(model, recipe.backbone, retest.pixels)
    with Processes.from_environment("auto") as processes:
        scores, ood_model = final_scores(model.to(processes.device), inputs, processes)
    return trained, ood_model, scores


def _require_photos_of_run(trained: Run, inputs: RunInputs) -> None:
    """Refuse manifests of other photos than the run's.

    Counts and photo ids are compared: digests of manifests depend on the place of the photos.
    """
    inputs.require_valid()
    counts = read_counts(trained.folder / PRIOR, trained.species)
    given = CountryPrior.fit(inputs.train, species=trained.species)
    scored = read_scores(trained.folder / SCORES)
    ids = {*scored.photo_ids, *(failure.photo_id for failure in scored.failures)}
    for name, same in (
        ("train", counts.countries == given.countries and (counts.counts == given.counts).all()),
        ("validation", ids == set(inputs.validation.table["photo_id"])),
    ):
        if not same:
            raise InputError(
                f"{name}: not the photos of the run {trained.folder}; give the manifest that it"
                " was trained with"
            )


def _require_pixels(model: nn.Module, backbone: str, pixels: int) -> None:
    """Refuse a size that the backbone does not accept."""
    if fault := answer_fault(model, pixels):
        raise InputError(f"pixels {pixels}: {backbone} does not accept this size: {fault}")
