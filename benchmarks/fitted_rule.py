"""Calibration, prior and rule of a bundle from validation scores, and its decisions.

As in `ophis export`, without a network; for `guarantees.py` and `real_countries.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ophis.decision.calibration import fit_temperature
from ophis.decision.rule import DANGER_CONFIDENCE, fit_rule
from ophis.decision.verdict import Verdict
from ophis.priors.selection import default_prior
from ophis.scores.validation import validation_halves
from ophis.taxonomy.danger import dangerous

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis import CountryPrior, Scores
    from ophis.decision.calibration import Calibration
    from ophis.decision.decision import Decision
    from ophis.decision.rule import DecisionRule
    from ophis.priors.prior import Prior

Figures = dict[str, float]


@dataclass(frozen=True, eq=False)
class FittedRule:
    """Everything that a bundle fits on validation scores."""

    calibration: Calibration
    prior: Prior | None
    rule: DecisionRule

    @property
    def danger_guaranteed(self) -> bool:
        """True if the danger set excludes species."""
        return self.rule.image.danger_guaranteed

    def image(self, scores: Scores) -> list[Decision]:
        """Return the decisions by the image alone, without rejection as out of distribution."""
        return self.rule.decide(self.calibration.apply(scores), is_ood=_none(scores))

    def country(self, scores: Scores) -> list[Decision]:
        """Return the decisions with the country of each photo, without rejection."""
        if self.prior is None:
            return self.image(scores)
        adjusted, effects = self.prior.adjust_with_effect(scores)
        return self.rule.decide(
            self.calibration.apply(scores),
            is_ood=_none(scores),
            adjusted=adjusted,
            of_country=np.array([effect.of_country for effect in effects]),
        )


def fitted(
    validation: Scores,
    *,
    counts: CountryPrior | None = None,
    confidence: float | None = DANGER_CONFIDENCE,
) -> FittedRule:
    """Fit temperature and prior on one half of the photos, and the rule on the other.

    Args:
        validation: raw scores.
        counts: training photos by country and species; None: no prior.
        confidence: of the danger guarantee, see `fit_rule`.
    """
    fitting, judging = validation_halves(validation)
    calibration = fit_temperature(fitting)
    prior = default_prior(counts, fitting) if counts else None
    rule = fit_rule(judging, calibration=calibration, prior=prior, confidence=confidence)
    return FittedRule(calibration, prior, rule)


def set_figures(decisions: list[Decision], scores: Scores) -> Figures:
    """Return coverage and size of the sets, top-1, and the danger verdicts of venomous snakes.

    Venomous are all species that count as dangerous, also those of unknown danger.
    """
    held = np.array([t in d.species for d, t in zip(decisions, scores.truth, strict=True)])
    first = np.array([d.species[0] for d in decisions])
    venomous = dangerous(scores.species)[scores.truth]
    return {
        "sets hold": float(held.mean()),
        "of venomous": float(held[venomous].mean()) if venomous.any() else np.nan,
        "species in a set": float(np.mean([len(d.species) for d in decisions])),
        "top-1": float((first == scores.truth).mean()),
        "not known": not_known(decisions, venomous),
    }


def not_known(decisions: list[Decision], venomous: NDArray[np.bool_]) -> float:
    """Return the fraction of venomous snakes that are said not to be known to be dangerous."""
    verdicts = np.array([d.verdict is Verdict.NOT_KNOWN_DANGEROUS for d in decisions])
    return float(verdicts[venomous].mean()) if venomous.any() else np.nan


def _none(scores: Scores) -> NDArray[np.bool_]:
    return np.zeros(len(scores), np.bool_)
