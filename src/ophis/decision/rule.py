"""Decision rule: from probabilities to the name that an answer gives, and the danger verdict.

NumPy only. The rule is fitted on photos that neither training nor calibration uses, and gives two
guarantees for photos like those: how often the set of names holds the true species, and how many
venomous snakes the danger verdict does not exclude.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.decision.conformal import conformal_threshold
from ophis.decision.guarantees import (
    Guarantees,
    finite_or_none,
    fit_guarantees,
    guarantees_from_dict,
    infinite_if_none,
    seen_danger,
)
from ophis.decision.out_of_distribution import PASSING, ood_scores
from ophis.errors import InputError
from ophis.files.atomic import whole_file
from ophis.scores.scores import ranked
from ophis.taxonomy.families import family
from ophis.taxonomy.species_list import genus, require_same_species

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.decision.calibration import Calibration
    from ophis.priors.prior import Prior
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

NAMES = 0.95  # how often the set of names is to hold the true species
DANGER = 0.99  # how many of the venomous are not to be excluded when the danger is judged
BY_DISTANCE, BY_ENERGY = "feature distance", "energy"


class State(StrEnum):
    """How far an answer goes."""

    SPECIES = "species"
    GENUS = "genus"
    FAMILY = "family"
    UNIDENTIFIED = "unidentified"
    NO_SNAKE = "no snake"
    UNUSABLE = "unusable"


class Verdict(StrEnum):
    """What is said of the danger. There is no third one, on purpose."""

    MAY_BE_VENOMOUS = "may be venomous"
    NOT_KNOWN_DANGEROUS = "not known to be dangerous"


@dataclass(frozen=True)
class Decision:
    """What is said of one photo.

    Attributes:
        state: how far the answer goes.
        name: the species, genus or family; None in the other states.
        species: columns of the species that cannot be excluded, the most probable first; empty
            where no snake is seen.
        verdict: on the danger.
    """

    state: State
    name: str | None
    species: tuple[int, ...]
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class DecisionRule:
    """What `fit_rule` found.

    Attributes:
        image: for probabilities of the image alone.
        country: for those in which the country had its say; None where nothing is known of
            countries.
        by: what photos of no known snake are refused by: "feature distance" or "energy".
        limit: what it may be.
        passing: the share of real snakes that are not refused.
    """

    image: Guarantees
    country: Guarantees | None
    by: str
    limit: float
    passing: float

    @property
    def species(self) -> SpeciesList:
        """What it was fitted on; it decides about nothing else."""
        return self.image.names.species

    def is_ood(self, scores: Scores) -> NDArray[np.bool_]:
        """Which photos are unlike those learned from, [photos].

        Args:
            scores: as the model gives them, without calibration or prior.

        Raises:
            InputError: when the scores are of other species, or lack what the rule goes by.
        """
        require_same_species(
            scores.species,
            self.species,
            names=("the scores", "what the rule was fitted on"),
            fix="fit it on scores of this model",
        )
        if self.by == BY_DISTANCE and scores.ood_score is None:
            raise InputError(
                "the rule goes by feature distance, but the scores hold no OOD score; score the"
                " photos with the bundle that the rule belongs to"
            )
        by_energy = replace(scores, ood_score=None) if self.by == BY_ENERGY else scores
        return ood_scores(by_energy) > self.limit

    def decide(
        self, scores: Scores, *, is_ood: NDArray[np.bool_], image: Scores | None = None
    ) -> list[Decision]:
        """Decide photo by photo.

        Args:
            scores: with the calibration or the prior applied.
            is_ood: what `is_ood` says of the raw scores.
            image: where the country had its say in the scores, those of the image alone with the
                calibration applied; else None.

        Raises:
            InputError: when the scores are of other species, or ``is_ood`` or ``image`` of other
                photos.
        """
        for name, photos in (("is_ood", is_ood.size), ("image", len(image or scores))):
            if photos != len(scores):
                raise InputError(
                    f"{name} says something of {photos} photos and the scores have {len(scores)};"
                    " ask about the same photos"
                )
        guarantees = self.country if image is not None and self.country else self.image
        names, may_be = guarantees.names.sets(scores), guarantees.may_be(scores)
        if image is not None:
            may_be = may_be | seen_danger(image)
        return [
            _decision(scores.species, scores.logits[row], names[row], unlike, risky)
            for row, (unlike, risky) in enumerate(zip(is_ood, may_be, strict=True))
        ]

    def write(self, path: str | Path) -> Path:
        """Write decision.json, whole or not at all."""
        values = {
            "refused": {
                "by": self.by,
                "limit": finite_or_none(self.limit),
                "passing": self.passing,
            },
            "image": self.image.as_dict(),
            "country": self.country.as_dict() if self.country else None,
        }
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        return Path(path)


def decide_without_rule(scores: Scores) -> list[Decision]:
    """What a model says that was never judged: it excludes no species and no danger.

    Not even if it knows no venomous species: what it does not know it cannot exclude.
    """
    every = np.ones(len(scores.species), dtype=np.bool_)
    return [_decision(scores.species, logits, every, False, True) for logits in scores.logits]


def no_name(state: State) -> Decision:
    """What is said where nothing that is known was seen: the state UNUSABLE or NO_SNAKE."""
    return Decision(state, None, (), Verdict.MAY_BE_VENOMOUS)


def _decision(
    species: SpeciesList,
    logits: NDArray[np.floating[Any]],
    possible: NDArray[np.bool_],
    is_ood: bool,
    risky: bool,
) -> Decision:
    if is_ood:
        return no_name(State.NO_SNAKE)
    columns = tuple(column for column in ranked(logits, species) if possible[column])
    state, name = roll_up([species[column] for column in columns])
    verdict = Verdict.MAY_BE_VENOMOUS if risky else Verdict.NOT_KNOWN_DANGEROUS
    if state is State.UNIDENTIFIED:
        verdict = Verdict.MAY_BE_VENOMOUS
    return Decision(state, name, columns, verdict)


def roll_up(names: list[str]) -> tuple[State, str | None]:
    """What several possible species have in common: a species, genus, family or nothing.

    Only genera whose family is known count: the first word of "water snake" is none.
    """
    if len(names) == 1:
        return State.SPECIES, names[0]
    families = {family(name) for name in names}
    if len(families) == 1 and (common := families.pop()):
        genera = {genus(name) for name in names}
        return (State.GENUS, genera.pop()) if len(genera) == 1 else (State.FAMILY, common)
    return State.UNIDENTIFIED, None


def fit_rule(
    scores: Scores,
    *,
    calibration: Calibration | None = None,
    prior: Prior | None = None,
    names: float = NAMES,
    danger: float = DANGER,
    passing: float = PASSING,
) -> DecisionRule:
    """Find the thresholds that keep the guarantees.

    Args:
        scores: raw, of photos of real snakes that neither training, calibration nor prior has
            seen. With few of them nothing is excluded and nothing refused.
        calibration: what the bundle mends logits with.
        prior: what a country says in it.
        names: how often the set of names is to hold the true species, in (0, 1).
        danger: how many of the venomous are not to be excluded, in (0, 1).
        passing: how many photos of real snakes are not to be refused, in (0, 1).

    Raises:
        InputError: when a share lies outside (0, 1), or no photo has a known species.
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
    """What a bundle gets: `fit_rule`, where there is any labelled photo to fit it on."""
    if validation is None or not (validation.truth >= 0).any():
        return None
    return fit_rule(validation, calibration=calibration, prior=prior)


def read_rule(path: str | Path, species: SpeciesList) -> DecisionRule:
    """Read what `DecisionRule.write` wrote.

    Raises:
        InputError: naming the file and what is wrong in it.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        refused, country = values["refused"], values["country"]
        rule = DecisionRule(
            image=guarantees_from_dict(values["image"], species),
            country=guarantees_from_dict(country, species) if country else None,
            by=refused["by"],
            limit=infinite_if_none(refused["limit"]),
            passing=float(refused["passing"]),
        )
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not a decision rule of ophis: {error}") from None
    if rule.by not in (BY_DISTANCE, BY_ENERGY) or np.isnan(rule.limit):
        raise InputError(f"{path}: refuses by {rule.by!r} over {rule.limit}; export the run anew")
    return rule
