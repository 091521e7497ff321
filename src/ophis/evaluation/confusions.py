"""Wrong answers by pair of species and by kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ophis.evaluation.metrics import predictions
from ophis.taxonomy.danger import Danger, danger
from ophis.taxonomy.species_list import genus

if TYPE_CHECKING:
    from ophis.scores.scores import Scores


@dataclass(frozen=True)
class ErrorKinds:
    """Photos with a wrong answer, by kind of error."""

    within_genus: int
    between_genera: int
    venomous_missed: int  # a venomous species, answered with one not known to be venomous
    venomous_alarms: int  # the reverse


@dataclass(frozen=True)
class Confusion:
    """Photos of a species that models A and B answer with another species."""

    species: str
    taken_for: str
    a: int
    b: int
    same_genus: bool


def error_kinds(scores: Scores) -> ErrorKinds:
    """Count the wrong answers by kind."""
    names = scores.species.names
    genera = np.array([genus(name) for name in names])
    venomous = np.array([danger(name) is Danger.VENOMOUS for name in names])
    truth, answer = scores.truth, predictions(scores)
    same_genus = genera[truth] == genera[answer]
    return ErrorKinds(
        within_genus=int((same_genus & (truth != answer)).sum()),
        between_genera=int((~same_genus).sum()),
        venomous_missed=int((venomous[truth] & ~venomous[answer]).sum()),
        venomous_alarms=int((~venomous[truth] & venomous[answer]).sum()),
    )


def wrong_pairs(scores: Scores) -> Counter[tuple[int, int]]:
    """Count the wrong answers by columns of true and predicted species."""
    answer = predictions(scores)
    wrong = answer != scores.truth
    return Counter(zip(scores.truth[wrong].tolist(), answer[wrong].tolist(), strict=True))


def confusions(a: Scores, b: Scores) -> tuple[Confusion, ...]:
    """Return the pairs that A or B confuses, the most frequent first."""
    counts = wrong_pairs(a), wrong_pairs(b)
    total = counts[0] + counts[1]
    names = a.species.names
    return tuple(
        Confusion(
            species=names[pair[0]],
            taken_for=names[pair[1]],
            a=counts[0][pair],
            b=counts[1][pair],
            same_genus=genus(names[pair[0]]) == genus(names[pair[1]]),
        )
        for pair in sorted(total, key=lambda p: (-total[p], p))
    )
