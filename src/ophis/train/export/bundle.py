"""Export of a run folder, or of any torch model, as a bundle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ophis.decision.rule import default_rule
from ophis.decision.vector_scaling import default_calibration
from ophis.errors import InputError
from ophis.evaluation.results import EvaluationResults, evaluate_bundle
from ophis.evaluation.run import PRIOR, SCORES, read_facts
from ophis.images.preprocessing import MAX_SIDE
from ophis.inference.bundles.bundle import IMAGES, MODEL, BundleWriter, Member
from ophis.inference.bundles.card_about import about_run
from ophis.inference.bundles.model_card import card
from ophis.inference.evidence import OUTPUTS as EVIDENCE
from ophis.inference.self_test import write_selftest
from ophis.priors.country_counts import CountryPrior, read_counts
from ophis.priors.selection import default_prior
from ophis.scores.scores import read_scores
from ophis.scores.validation import validation_halves
from ophis.train.export.evidence import WithEvidence, averages_maps
from ophis.train.export.inference_form import inference_form
from ophis.train.export.onnx_export import check_parity, write_onnx
from ophis.train.export.timm_layout import write_timm_files
from ophis.train.model_scores import score_model
from ophis.train.networks.weights_file import one_line
from ophis.train.out_of_distribution import FILE as OOD_MODEL_FILE
from ophis.train.out_of_distribution import OodModel, WithOodScore, fit_ood_model
from ophis.train.processes import Processes
from ophis.train.run_folder import RunInputs, model_of, read_run

if TYPE_CHECKING:
    from torch import nn

    from ophis.datasets.manifest import Manifest
    from ophis.decision.calibration import Calibration
    from ophis.decision.rule import DecisionRule
    from ophis.images.preprocessing import Preprocessing
    from ophis.priors.prior import Prior
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList
    from ophis.train.run_folder import Run


@dataclass(frozen=True)
class Retest:
    """Photos of another size than the recipe's: more pixels than in training often help.

    Attributes:
        pixels: side of the square that photos are squeezed to.
        train: what the run learned from; its photos are looked at once more, for the OOD score.
        validation: what it was judged by; it is scored anew.
    """

    pixels: int
    train: Manifest
    validation: Manifest


def export(
    folder: str | Path,
    out: str | Path,
    *,
    prior: Prior | None = None,
    test: Retest | None = None,
    weights: bool = True,
) -> Path:
    """Make a bundle of a run: the model as its checkpoint has it, species, prior and card.

    Args:
        folder: what `fit` returned.
        out: the bundle folder; an older bundle there is replaced.
        prior: what a country says; by default what wins on the run's validation scores, see
            `prior_choice.default_prior`.
        test: photos of another size, with all that is learned from them.
        weights: whether to write the torch weights too, for timm and for training on; no answer
            needs them.

    Raises:
        InputError: when the folder is no run, the manifests are not the run's, or ONNX Runtime's
            probabilities differ from torch's by more than 1e-4.
    """
    trained = read_run(folder)
    if test:
        trained, ood_model, scores = _retested(trained, test)
    else:
        path, saved = trained.folder / OOD_MODEL_FILE, trained.folder / SCORES
        ood_model = OodModel.read(path) if path.is_file() else None
        scores = read_scores(saved) if saved.is_file() else None
    recipe = trained.recipe
    # Guarantees are fitted on photos that calibration and prior were not fitted on.
    fitting, judging = validation_halves(scores) if scores else (None, None)
    counts = read_counts(trained.folder / PRIOR, trained.species)
    if prior is None:
        prior = default_prior(counts, fitting)
    calibration = default_calibration(fitting)
    rule = default_rule(judging, calibration=calibration, prior=prior)
    facts = read_facts(trained.folder)
    return write_bundle(
        model_of(trained),
        out,
        ood_model=ood_model,
        species=trained.species,
        preprocessing=recipe.preprocessing,
        calibration=calibration,
        prior=prior,
        rule=rule,
        results=evaluate_bundle(
            scores,
            calibration=calibration,
            prior=prior,
            rule=rule,
            counts=counts,
            facts=facts,
            about=about_run(recipe, trained.species, step=trained.checkpoint.step, facts=facts),
        ),
        weights=weights,
    )


def _require_the_runs_photos(trained: Run, test: Retest) -> None:
    """Refuse manifests of other photos; their digest tells where they lie, so it cannot say."""
    RunInputs(trained.recipe, test.train, test.validation, trained.species).require_valid()
    counts = read_counts(trained.folder / PRIOR, trained.species)
    given = CountryPrior.fit(test.train, species=trained.species)
    judged = read_scores(trained.folder / SCORES)
    own = {*judged.photo_ids, *(failure.photo_id for failure in judged.failures)}
    for name, same in (
        ("train", counts.countries == given.countries and (counts.counts == given.counts).all()),
        ("validation", own == set(test.validation.table["photo_id"])),
    ):
        if not same:
            raise InputError(
                f"--{name}: not the photos that {trained.folder} was made with; give those"
            )


def _retested(trained: Run, test: Retest) -> tuple[Run, OodModel, Scores]:
    """The run as if its recipe had tested with so many pixels."""
    _require_the_runs_photos(trained, test)
    retested = replace(trained, recipe=replace(trained.recipe, test_pixels=test.pixels))
    species, preprocessing = trained.species, retested.recipe.preprocessing
    model = model_of(retested)
    _require_pixels(model, retested.recipe.backbone, test.pixels)
    with Processes.from_environment("auto") as processes:
        model.to(processes.device)
        ood_model = fit_ood_model(
            model, test.train, species=species, preprocessing=preprocessing, processes=processes
        )
        scores = score_model(
            WithOodScore(model, ood_model.to(processes.device)),
            test.validation,
            species=species,
            preprocessing=preprocessing,
            processes=processes,
        )
    return retested, ood_model, scores


def _require_pixels(model: nn.Module, backbone: str, pixels: int) -> None:
    """Refuse a size that no bundle may have, or that this backbone, as some, cannot look at."""
    if pixels > MAX_SIDE:
        raise InputError(f"--pixels {pixels} should be at most {MAX_SIDE}")
    try:
        with torch.inference_mode():
            model(torch.zeros(1, 3, pixels, pixels))
    except (AssertionError, RuntimeError) as error:  # timm's way, and torch's
        raise InputError(
            f"--pixels {pixels}: {backbone} cannot look at so many: {one_line(error)}"
        ) from None


def write_bundle(
    model: nn.Module,
    out: str | Path,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    calibration: Calibration | None,
    prior: Prior | None,
    rule: DecisionRule | None,
    results: EvaluationResults | None = None,
    ood_model: OodModel | None = None,
    weights: bool = True,
) -> Path:
    """Write a bundle of any torch model that takes [photos, 3, side, side] and gives logits.

    With ``ood_model`` the network, one of timm's, gives each photo's OOD score too; if its head
    averages maps, it gives what in them speaks for the most probable species.
    """
    plain, model = model, inference_form(model)
    outputs = ("logits", *(("ood_score",) if ood_model else ()))
    if averages_maps(model, side=preprocessing.pixels):
        model, outputs = WithEvidence(model, ood_model).eval(), (*outputs, *EVIDENCE)
    elif ood_model:
        model = WithOodScore(model, ood_model).eval()
    results = results or EvaluationResults()
    text = card(species, results, calibration=calibration, prior=prior, rule=rule)
    with BundleWriter(out) as writer:
        writer.write(
            species=species,
            calibration=calibration,
            prior=prior,
            rule=rule,
            card=text,
            results=results,
        )
        preprocessing.write(writer.folder / IMAGES)
        write_timm_files(
            plain, writer.folder, species=species, preprocessing=preprocessing, weights=weights
        )
        write_onnx(model, writer.folder / MODEL, side=preprocessing.pixels, outputs=outputs)
        check_parity(model, writer.folder / MODEL, side=preprocessing.pixels)
        write_selftest(Member(writer.folder / MODEL, species, preprocessing, None))
    return Path(out)
