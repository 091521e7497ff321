"""Decision rule: from probabilities to the name that an answer gives, and the danger verdict.

NumPy only. The rule is fitted on photos that neither training nor calibration uses, one of each
observation, and gives two guarantees for photos like those: how often the set of names holds the
true species, and how many venomous snakes the danger verdict (`decision.verdict`) keeps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.decision.conformal import PredictionSets, conformal_threshold
from ophis.decision.decision import Decision, State, no_name, roll_up
from ophis.decision.guarantees import (
    DANGER_COVERAGE,
    NAMES_COVERAGE,
    Guarantees,
    finite_or_none,
    fit_country_names,
    fit_guarantees,
    guarantees_from_dict,
    infinite_if_none,
    names_from_dict,
    sets_as_dict,
)
from ophis.decision.out_of_distribution import PASSING, ood_scores
from ophis.decision.verdict import Verdict, danger_not_excluded
from ophis.errors import InputError, require_numbers
from ophis.files.atomic import whole_file
from ophis.files.content import content_of, read_json
from ophis.scores.aggregation import one_photo_each
from ophis.scores.scores import ranked
from ophis.taxonomy.danger import dangerous
from ophis.taxonomy.species_list import require_same_species

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.decision.calibration import Calibration
    from ophis.priors.prior import Prior
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

DANGER_CONFIDENCE = 0.95  # that a fitted rule has this coverage
BY_DISTANCE, BY_ENERGY = "feature distance", "energy"


@dataclass(frozen=True, eq=False)
class DecisionRule:
    """Thresholds that turn scores into decisions; see `fit_rule`.

    Attributes:
        image: guarantees for calibrated probabilities of the image alone.
        country: sets of names for probabilities with the prior of a country applied. None if the
            rule was fitted without a prior: then an answer with a country excludes nothing.
        by: kind of OOD score that rejects photos, "feature distance" or "energy".
        limit: highest OOD score that is not rejected.
        passing: fraction of photos of snakes that are not rejected.
    """

    image: Guarantees
    country: PredictionSets | None
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
        self,
        image: Scores,
        *,
        is_ood: NDArray[np.bool_],
        adjusted: Scores | None = None,
        of_country: NDArray[np.bool_] | None = None,
    ) -> list[Decision]:
        """Return the decision about each photo.

        A place changes the names and may add a warning; it removes none that the image gives. The
        sets of the country are used only where they were tested (``of_country``). Elsewhere they
        are joined to those of the image, whose guarantee stays.

        Args:
            image: calibrated scores of the image alone.
            is_ood: result of `is_ood` for the raw scores.
            adjusted: scores with the prior of the place applied, if there is one.
            of_country: [photos], True where the place is a single country and the factors rest on
                data of it (`PriorEffect.of_country`); None: nowhere.

        Raises:
            InputError: the scores are of other species, or the arguments of other photos.
        """
        parts = {"is_ood": is_ood, "adjusted": adjusted, "of_country": of_country}
        for name, part in parts.items():
            if part is not None and len(part) != len(image):
                raise InputError(
                    f"{name} has {len(part)} photos and the scores have {len(image)}; give both of"
                    " the same photos"
                )
        names = self.image.names.sets(image)
        danger = danger_not_excluded(image, self.image)
        alone = [
            _decision(image, row, names[row], is_ood=bool(is_ood[row]), danger=bool(danger[row]))
            for row in range(len(image))
        ]
        if adjusted is None:
            return alone
        tested = np.zeros(len(image), np.bool_) if of_country is None else of_country
        names, joined = self._with_place(names, adjusted, tested)
        warned = np.array([found.verdict is Verdict.MAY_BE_VENOMOUS for found in alone], np.bool_)
        danger = warned | (names & dangerous(image.species)).any(axis=1)
        return [
            replace(
                _decision(
                    adjusted, row, names[row], is_ood=bool(is_ood[row]), danger=bool(danger[row])
                ),
                joined=bool(joined[row]),
            )
            for row in range(len(image))
        ]

    def _with_place(
        self, names: NDArray[np.bool_], adjusted: Scores, tested: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return the sets of names with a place, [photos, species], and where they are joined.

        ``names`` are the sets of the image alone; ``tested`` is True where those of the country
        may be used, [photos].
        """
        if self.country is None:
            return np.ones_like(names), np.ones(len(names), np.bool_)
        joined = ~tested | (not self.country.guaranteed)
        own, beside = self.country.sets(adjusted), self.image.names.sets(adjusted)
        return np.where(joined[:, None], names | beside, own), joined

    def as_dict(self) -> dict[str, Any]:
        """Return the rule as JSON values, the content of decision.json."""
        return {
            "ood": {"by": self.by, "limit": finite_or_none(self.limit), "passing": self.passing},
            "image": self.image.as_dict(),
            "country": sets_as_dict(self.country) if self.country else None,
        }

    def write(self, path: str | Path) -> Path:
        """Write the rule as JSON, atomically."""
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")
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
    confidence: float | None = DANGER_CONFIDENCE,
    passing: float = PASSING,
) -> DecisionRule:
    """Fit the thresholds of a decision rule.

    Photos of one snake are not independent, so one photo of each observation counts
    (`one_photo_each`).

    Args:
        scores: raw, of photos of snakes that training, calibration and prior do not use. With few
            observations nothing is excluded and nothing rejected.
        calibration: calibration of the bundle.
        prior: prior of the bundle.
        names: coverage of the true species by the set of names, 0.95 or more and below 1.
        danger: fraction of venomous snakes that are not excluded, 0.99 or more and below 1.
        confidence: probability that this rule reaches ``danger``, in (0, 1), which needs 299
            observations of venomous snakes by default; None: rules reach it on average, which
            needs 99.
        passing: fraction of photos of snakes that are not rejected as OOD, in (0, 1).

    Raises:
        InputError: a fraction lies outside its range, or no photo has a known species.
    """
    if not 0 < passing < 1:
        raise InputError(f"passing = {passing} should lie between 0 and 1")
    one = one_photo_each(scores)
    alone = calibration.apply(one) if calibration else one
    return DecisionRule(
        image=fit_guarantees(alone, names=names, danger=danger, confidence=confidence),
        country=_fit_country(one, prior, names) if prior else None,
        by=BY_ENERGY if scores.ood_score is None else BY_DISTANCE,
        limit=conformal_threshold(ood_scores(one), passing),
        passing=passing,
    )


def _fit_country(scores: Scores, prior: Prior, names: float) -> PredictionSets:
    """Fit the sets with a country on the photos whose answer would use them."""
    adjusted, effects = prior.adjust_with_effect(scores)
    of_country = np.array([effect.of_country for effect in effects], np.bool_)
    return fit_country_names(adjusted.take(of_country), names=names)


def default_rule(
    validation: Scores | None,
    *,
    calibration: Calibration | None,
    prior: Prior | None,
    confidence: float | None = DANGER_CONFIDENCE,
) -> DecisionRule | None:
    """Return the rule of a new bundle, None without a labelled validation photo."""
    if validation is None or not (validation.truth >= 0).any():
        return None
    return fit_rule(validation, calibration=calibration, prior=prior, confidence=confidence)


def read_rule(path: str | Path, species: SpeciesList) -> DecisionRule:
    """Read a rule that `DecisionRule.write` wrote.

    Raises:
        InputError: the file is missing or damaged; the message names it.
    """
    again = "export the bundle again"
    values = read_json(path, "file", fix=again)
    with content_of(path, "not a decision rule of ophis", fix=again):
        ood, country = values["ood"], values["country"]
        limit = [] if ood["limit"] is None else [ood["limit"]]
        require_numbers("ood", [ood["passing"], *limit], least=-np.inf)
        rule = DecisionRule(
            image=guarantees_from_dict(values["image"], species),
            country=None if country is None else names_from_dict(country, species, "country"),
            by=ood["by"],
            limit=infinite_if_none(ood["limit"]),
            passing=ood["passing"],
        )
        if rule.by not in (BY_DISTANCE, BY_ENERGY) or not 0 < rule.passing < 1:
            raise InputError(f"`ood` has by {rule.by!r}, passing {rule.passing}")
    return rule
