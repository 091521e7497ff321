"""The card of a bundle that is there already: measured anew if asked, and written into it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.evaluation.results import Measured, measure, read_measured
from ophis.inference.bundles.bundle import CARD, MEASURED, BundleWriter, read_bundle
from ophis.inference.bundles.model_card import card

if TYPE_CHECKING:
    from pathlib import Path

    from ophis.evaluation.run import Side
    from ophis.inference.bundles.bundle import Bundle


def card_of(
    folder: Path,
    *,
    side: Side | None = None,
    license: str | None = None,  # noqa: A002 - the Hub's word
) -> tuple[Bundle, Measured, str]:
    """A bundle, what was measured of it, and its card.

    Args:
        folder: of the bundle.
        side: scores by it of photos that it did not learn from; by default what it holds counts.
        license: of its weights; by default what it holds.

    Raises:
        InputError: when the bundle cannot be read, or the scores are of other species.
    """
    bundle = read_bundle(folder)
    path = folder / MEASURED
    measured = read_measured(path) if path.is_file() else Measured()
    if side:
        counts = side.prior
        judged = measure(
            side.scores.with_species(bundle.species),
            calibration=bundle.calibration,
            prior=bundle.prior,
            rule=bundle.rule,
            counts=counts,
            facts=side.facts,
            about=measured.about,
        )
        measured = judged if counts else replace(judged, training=measured.training)
    if license:
        measured = replace(measured, about=measured.about | {"license": license})
    try:
        text = card(
            bundle.species,
            measured,
            calibration=bundle.calibration,
            prior=bundle.prior,
            rule=bundle.rule,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not what ophis measured: {error!r}; export anew") from None
    return bundle, measured, text


def rewrite(bundle: Bundle, measured: Measured, text: str) -> str:
    """Put a card into a bundle, whole or not at all; its new version."""
    with BundleWriter(bundle.folder) as writer:
        writer.copy(bundle)
        (writer.folder / CARD).write_text(text, encoding="utf-8")
        measured.write(writer.folder / MEASURED)
    return read_bundle(bundle.folder).version
