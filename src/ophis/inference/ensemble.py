"""Ensembles of bundles: several networks, or test-time augmentation, with averaged logits.

The averaged logits are more accurate and have another distribution than those of each network.
Calibration, prior and guarantees are therefore fitted again, on validation photos.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from ophis.datasets.training_photos import (
    TRAINING_PHOTOS,
    content_digests,
    read_training_photos,
    require_unseen,
    union,
    write_training_photos,
)
from ophis.decision.rule import DANGER_CONFIDENCE, default_rule
from ophis.decision.vector_scaling import default_calibration
from ophis.errors import InputError
from ophis.evaluation.metrics import evaluate
from ophis.evaluation.results import evaluate_bundle
from ophis.files.overlap import refuse_overlap
from ophis.images.test_time_augmentation import NO_TTA, tta_crops
from ophis.inference.batches import joined_batches
from ophis.inference.bundles.bundle import BundleWriter, read_bundle
from ophis.inference.bundles.card_sections import (
    TRAINING_UNKNOWN,
    MemberResult,
    about_combination,
)
from ophis.inference.bundles.model_card import card_text
from ophis.inference.network import Network
from ophis.priors.bayes import BayesPrior
from ophis.priors.country_counts import CountryPrior
from ophis.priors.location import LocationPrior
from ophis.priors.selection import default_prior
from ophis.scores.ensemble import ensemble
from ophis.scores.validation import validation_halves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.training_photos import Digests
    from ophis.decision.calibration import Calibration
    from ophis.decision.rule import DecisionRule
    from ophis.images.test_time_augmentation import Crop, Tta
    from ophis.inference.bundles.bundle import Bundle
    from ophis.priors.prior import Prior
    from ophis.scores.scores import Scores

_LOGGER = logging.getLogger(__name__)


def combine(
    bundles: Sequence[str | Path],
    out: str | Path,
    *,
    validation: Manifest,
    tta: Sequence[Tta | str] = (),
    danger_confidence: float | None = DANGER_CONFIDENCE,
    progress: Callable[[int], None] | None = None,
) -> tuple[MemberResult, ...]:
    """Write a bundle of several bundles, or with test-time augmentation, and evaluate it.

    Args:
        bundles: plain ones of the same species; one is enough with ``tta``.
        out: the bundle folder; an older bundle there is replaced.
        validation: labelled photos outside the training data of all bundles. If a bundle does not
            list its training photos, the new one gets no calibration of its own and no guarantees.
        tta: kinds of test-time augmentation, "flip", "crops" or both: see `tta_crops`.
        danger_confidence: of the guarantee on the danger; None: on average, see `fit_rule`.
        progress: called with the number of photos scored since the last call.

    Returns:
        The results of each bundle, in their order, and last those of the ensemble.

    Raises:
        InputError: when the bundles do not fit together, nothing would be combined, no photo has a
            species, one has the content of a training photo, or ``out`` is one of the bundles or
            holds something else.
    """
    members = [read_bundle(bundle) for bundle in bundles]
    crops = tta_crops(*tta)
    _require_fit(members, plain=crops == NO_TTA)
    refuse_overlap([member.folder for member in members], folders=[out])
    if (validation.truth(members[0].species) < 0).all():
        raise InputError(
            "no validation photo has a species, so no bundle can be evaluated; label some"
        )
    with BundleWriter(out) as writer:  # refuses a foreign folder before hours of scoring
        learned = learned_photos(members, validation)
        results, together = _evaluate(members, crops, validation, progress)
        known = None if learned is None else together
        parts = refit(members[0].prior, known, confidence=danger_confidence)
        about = about_combination(members, crops, results)
        write_fitted(writer, together, learned, parts=parts, about=about)
        writer.write_members(members, crops)
    return results


def learned_photos(
    bundles: Sequence[Bundle], validation: Manifest, more: Sequence[Digests] = ()
) -> Digests | None:
    """Return the training photos of bundles; None, with a warning, if one does not list them.

    Args:
        bundles: plain ones.
        validation: photos to fit calibration and guarantees on.
        more: digests of further photos that the new bundle learns from.

    Raises:
        InputError: when a validation photo has the content of a training photo.
    """
    lists = list(more)
    for bundle in bundles:
        listed = read_training_photos(bundle.folder)
        if listed is None:
            _LOGGER.warning(
                "%s: %s is missing, so the validation photos may be among its training photos; the"
                " new bundle gets no calibration and no guarantees",
                bundle.folder,
                TRAINING_PHOTOS,
            )
            return None
        lists.append(listed)
    learned = union(lists)
    require_unseen(tuple(validation.table["photo_id"]), content_digests(validation), learned)
    return learned


def _evaluate(
    members: Sequence[Bundle],
    crops: tuple[Crop, ...],
    validation: Manifest,
    progress: Callable[[int], None] | None,
) -> tuple[tuple[MemberResult, ...], Scores]:
    """Return the results of each member and of the ensemble, and the scores of the ensemble."""
    names = [str(member.folder) for member in members]
    results: list[MemberResult] = []
    parts: list[Scores] = []
    seconds = 0.0
    for member in members:
        network = Network(member.members[0], member.species)
        alone, took = score_timed(network, validation, NO_TTA, progress)
        results.append(member_result(str(member.folder), alone, took))
        if crops != NO_TTA:
            alone, took = score_timed(network, validation, crops, progress)
        calibrated = member.calibration.apply(alone) if member.calibration else alone
        parts.append(calibrated.with_species(members[0].species))
        seconds += took
    together = ensemble(parts, names)
    results.append(member_result("together", together, seconds))
    return tuple(results), together


def score_timed(
    network: Network,
    validation: Manifest,
    crops: tuple[Crop, ...],
    progress: Callable[[int], None] | None,
) -> tuple[Scores, float]:
    """Return the scores of one network with these crops, and the seconds they took."""
    started = time.monotonic()
    batches = network.batches(validation, tta=crops)
    scores = joined_batches(batches, network.species, progress=progress)
    return scores, time.monotonic() - started


def member_result(name: str, scores: Scores, seconds: float) -> MemberResult:
    """Return the evaluation of scores, and their cost."""
    photos = len(scores) + len(scores.failures)
    return MemberResult(name, evaluate(scores), 1000 * seconds / photos, scores.failures)


class FittedParts(TypedDict):
    """Parts of a bundle that are fitted on validation scores."""

    calibration: Calibration | None
    prior: Prior | None
    rule: DecisionRule | None


def refit(prior: Prior | None, scores: Scores | None, *, confidence: float | None) -> FittedParts:
    """Return calibration, prior and rule for a model with these validation scores.

    Args:
        prior: prior of the original model, whose counts, map and overrides are kept.
        scores: of photos not learned from; one half fits, the other is what guarantees are made on.
            None: no calibration, no rule, and a prior that is not fitted.
        confidence: of the guarantee on the danger, see `fit_rule`.
    """
    fitting, guaranteeing = (None, None) if scores is None else validation_halves(scores)
    calibration, prior = default_calibration(fitting), _prior(prior, fitting)
    rule = default_rule(guaranteeing, calibration=calibration, prior=prior, confidence=confidence)
    return FittedParts(calibration=calibration, prior=prior, rule=rule)


def write_fitted(
    writer: BundleWriter,
    scores: Scores,
    learned: Digests | None,
    *,
    parts: FittedParts,
    about: dict[str, Any],
) -> None:
    """Write everything of a bundle that depends on its validation scores, and its training photos.

    Args:
        writer: of the bundle.
        scores: validation scores of the bundle.
        learned: result of `learned_photos`.
        parts: result of `refit`.
        about: see `EvaluationResults.about`.
    """
    if learned is None:
        about = about | {"text": about["text"] + TRAINING_UNKNOWN}
    else:
        write_training_photos(writer.folder, learned)
    results = evaluate_bundle(None if learned is None else scores, **parts, about=about)
    card = card_text(scores.species, results, **parts)
    writer.write(species=scores.species, **parts, card=card, results=results)


def _require_fit(members: Sequence[Bundle], *, plain: bool) -> None:
    if plain and len(members) < 2:
        raise InputError("nothing to combine: give two bundles or more, or test-time augmentation")
    first = members[0]
    for number, member in enumerate(members):
        if len(member.members) > 1 or member.tta != NO_TTA:
            raise InputError(f"{member.folder} is a combination already; name what it was made of")
        if member.version in {other.version for other in members[:number]}:
            raise InputError(f"{member.folder} is the same bundle as another; name each once")
        if odd := set(member.species) ^ set(first.species):
            raise InputError(
                f"species {min(odd)!r} is known to only one of {first.folder} and {member.folder};"
                " combine bundles of the same species"
            )


def _prior(prior: Prior | None, fitting: Scores | None) -> Prior | None:
    """Return a prior with the same counts for the new scores; one without counts stays."""
    base = prior.base if isinstance(prior, LocationPrior) else prior
    if isinstance(base, BayesPrior):
        found = default_prior(
            base.counts,
            fitting,
            range_map=base.range_map,
            overrides=base.overrides,
            only_bayes=base is not prior,
        )
        both = isinstance(prior, LocationPrior) and isinstance(found, BayesPrior)
        return replace(prior, base=found) if both else found
    if isinstance(prior, CountryPrior):
        return default_prior(prior, fitting)
    return prior
