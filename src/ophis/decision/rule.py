"""Decision rule: from probabilities to the name that an answer gives, and the danger verdict.

NumPy only. The rule is fitted on photos that neither training nor calibration uses, and gives two
guarantees for photos like those: how often the set of names holds the true species, and how many
venomous snakes the danger verdict does not exclude. The verdict is in `decision.verdict`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis.decision.conformal import conformal_threshold
from ophis.decision.decision import Decision, State, no_name, roll_up
from ophis.decision.guarantees import (
    Guarantees,
    finite_or_none,
    fit_guarantees,
    guarantees_from_dict,
    infinite_if_none,
)
from ophis.decision.out_of_distribution import PASSING, ood_scores
from ophis.decision.verdict import Verdict, danger_not_excluded
from ophis.errors import InputError
from ophis.files.atomic import whole_file
from ophis.scores.scores import ranked
from ophis.taxonomy.species_list import require_same_species

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.decision.calibration import Calibration
    from ophis.priors.prior import Prior
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

NAMES_COVERAGE = 0.95  # of the true species by the set of names
DANGER_COVERAGE = 0.99  # of venomous snakes by the danger verdict
BY_DISTANCE, BY_ENERGY = "feature distance", "energy"


@dataclass(frozen=True, eq=False)
class DecisionRule:
    """Thresholds that turn scores into decisions; see `fit_rule`.

    Attributes:
        image: guarantees for calibrated probabilities of the image alone.
        country: guarantees for probabilities with the prior applied; None without a prior.
        by: kind of OOD score that rejects photos, "feature distance" or "energy".
        limit: highest OOD score that is not rejected.
        passing: fraction of photos of snakes that are not rejected.
    """

    image: Guarantees
    country: Guarantees | None
    by: str
    limit: float
    passing: float

    @property
    def species(self) -> SpeciesList:
        """Species list that the rule is fitted on."""
        return self.image.names.species

    def is_ood(self, scores: Scores) -> NDArray[np.bool_]:
        """Return the out-of-distribution photos, [photos].

        Args:
            scores: raw, without calibration or prior.

        Raises:
            InputError: the scores are of other species, or lack the OOD score that the rule uses.
        """
        require_same_species(
            scores.species,
            self.species,
            names=("the scores", "what the rule was fitted on"),
            fix="fit it on scores of this model",
        )
        if self.by == BY_DISTANCE and scores.ood_score is None:
            raise InputError(
                "the rule uses the feature distance, but the scores hold no OOD score; score the"
                " photos with the bundle that the rule belongs to"
            )
        by_energy = replace(scores, ood_score=None) if self.by == BY_ENERGY else scores
        return ood_scores(by_energy) > self.limit

    def decide(
        self, scores: Scores, *, is_ood: NDArray[np.bool_], image: Scores | None = None
    ) -> list[Decision]:
        """Return the decision about each photo.

        Args:
            scores: with calibration or prior applied.
            is_ood: result of `is_ood` for the raw scores.
            image: calibrated scores of the image alone, if a prior is applied to ``scores``.

        Raises:
            InputError: the scores are of other species, or ``is_ood`` or ``image`` of other photos.
        """
        for name, photos in (("is_ood", is_ood.size), ("image", len(image or scores))):
            if photos != len(scores):
                raise InputError(
                    f"{name} has {photos} photos and the scores have {len(scores)}; give both of"
                    " the same photos"
                )
        guarantees = self.country if image is not None and self.country else self.image
        possible = guarantees.names.sets(scores)
        danger = danger_not_excluded(scores, guarantees, image=image)
        return [
            _decision(
                scores, row, possible[row], is_ood=bool(is_ood[row]), danger=bool(danger[row])
            )
            for row in range(len(scores))
        ]

    def write(self, path: str | Path) -> Path:
        """Write the rule as JSON, atomically."""
        values = {
            "ood": {"by": self.by, "limit": finite_or_none(self.limit), "passing": self.passing},
            "image": self.image.as_dict(),
            "country": self.country.as_dict() if self.country else None,
        }
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        return Path(path)


def decide_without_rule(scores: Scores) -> list[Decision]:
    """Return the decisions of a model without a fitted rule: no species, no danger is excluded.

    Danger is not excluded even if no species of the model is venomous.
    """
    every = np.ones(len(scores.species), dtype=np.bool_)
    return [_decision(scores, row, every, is_ood=False, danger=True) for row in range(len(scores))]


def _decision(
    scores: Scores, row: int, possible: NDArray[np.bool_], *, is_ood: bool, danger: bool
) -> Decision:
    if is_ood:
        return no_name(State.NO_SNAKE)
    columns = tuple(c for c in ranked(scores.logits[row], scores.species) if possible[c])
    state, name = roll_up([scores.species[column] for column in columns])
    # Species of several families have no common name: their danger is never excluded.
    known = not danger and state is not State.UNIDENTIFIED
    verdict = Verdict.NOT_KNOWN_DANGEROUS if known else Verdict.MAY_BE_VENOMOUS
    return Decision(state, name, columns, verdict)


def fit_rule(
    scores: Scores,
    *,
    calibration: Calibration | None = None,
    prior: Prior | None = None,
    names: float = NAMES_COVERAGE,
    danger: float = DANGER_COVERAGE,
    passing: float = PASSING,
) -> DecisionRule:
    """Fit the thresholds of a decision rule.

    Args:
        scores: raw, of photos of snakes that training, calibration and prior do not use. With few
            of them nothing is excluded and nothing rejected.
        calibration: calibration of the bundle.
        prior: prior of the bundle.
        names: coverage of the true species by the set of names, in (0, 1).
        danger: fraction of venomous snakes that are not excluded, in (0, 1).
        passing: fraction of photos of snakes that are not rejected as OOD, in (0, 1).

    Raises:
        InputError: a fraction lies outside (0, 1), or no photo has a known species.
    """
    if not 0 < passing < 1:
        raise InputError(f"passing = {passing} should lie between 0 and 1")
    alone = calibration.apply(scores) if calibration else scores
    return DecisionRule(
        image=fit_guarantees(alone, names=names, danger=danger),
        country=fit_guarantees(prior.adjust(scores), names=names, danger=danger) if prior else None,
        by=BY_ENERGY if scores.ood_score is None else BY_DISTANCE,
        limit=conformal_threshold(ood_scores(scores), passing),
        passing=passing,
    )


def default_rule(
    validation: Scores | None, *, calibration: Calibration | None, prior: Prior | None
) -> DecisionRule | None:
    """Return the rule of a new bundle, None without a labelled validation photo."""
    if validation is None or not (validation.truth >= 0).any():
        return None
    return fit_rule(validation, calibration=calibration, prior=prior)


def read_rule(path: str | Path, species: SpeciesList) -> DecisionRule:
    """Read a rule that `DecisionRule.write` wrote.

    Raises:
        InputError: the file is missing or damaged; the message names it.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        ood, country = values["ood"], values["country"]
        rule = DecisionRule(
            image=guarantees_from_dict(values["image"], species),
            country=guarantees_from_dict(country, species) if country else None,
            by=ood["by"],
            limit=infinite_if_none(ood["limit"]),
            passing=float(ood["passing"]),
        )
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not a decision rule of ophis: {error}") from None
    if rule.by not in (BY_DISTANCE, BY_ENERGY) or np.isnan(rule.limit):
        raise InputError(
            f"{path}: `ood` has by {rule.by!r}, limit {rule.limit}; export the run again"
        )
    return rule
