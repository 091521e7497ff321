"""The card of a bundle that is there already: measured anew if asked, and written into it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.evaluation.results import EvaluationResults, evaluate_bundle, read_results
from ophis.inference.bundles.bundle import CARD, EVALUATION, BundleWriter, read_bundle
from ophis.inference.bundles.model_card import card

if TYPE_CHECKING:
    from pathlib import Path

    from ophis.evaluation.run import ScoredRun
    from ophis.inference.bundles.bundle import Bundle


def card_of(
    folder: Path,
    *,
    run: ScoredRun | None = None,
    license: str | None = None,  # noqa: A002 - the Hub's word
) -> tuple[Bundle, EvaluationResults, str]:
    """A bundle, what was measured of it, and its card.

    Args:
        folder: of the bundle.
        run: scores by it of photos that it did not learn from; by default what it holds counts.
        license: of its weights; by default what it holds.

    Raises:
        InputError: when the bundle cannot be read, or the scores are of other species.
    """
    bundle = read_bundle(folder)
    path = folder / EVALUATION
    results = read_results(path) if path.is_file() else EvaluationResults()
    if run:
        counts = run.prior
        judged = evaluate_bundle(
            run.scores.with_species(bundle.species),
            calibration=bundle.calibration,
            prior=bundle.prior,
            rule=bundle.rule,
            counts=counts,
            facts=run.facts,
            about=results.about,
        )
        results = judged if counts else replace(judged, training=results.training)
    if license:
        results = replace(results, about=results.about | {"license": license})
    try:
        text = card(
            bundle.species,
            results,
            calibration=bundle.calibration,
            prior=bundle.prior,
            rule=bundle.rule,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not evaluation results: {error!r}; export again") from None
    return bundle, results, text


def rewrite(bundle: Bundle, results: EvaluationResults, text: str) -> str:
    """Put a card into a bundle, whole or not at all; its new version."""
    with BundleWriter(bundle.folder) as writer:
        writer.copy(bundle)
        (writer.folder / CARD).write_text(text, encoding="utf-8")
        results.write(writer.folder / EVALUATION)
    return read_bundle(bundle.folder).version
