"""Two models on the same photos: who is right where, by how much, and how sure that is.

NumPy only. A is the model that one has, B the one that one might take: differences are B - A.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.evaluation.metrics import macro_f1, predictions, ranks
from ophis.files.markup import html_table
from ophis.scores.ensemble import aligned
from ophis.scores.scores import log_probabilities
from ophis.taxonomy.danger import Danger, danger
from ophis.taxonomy.species_list import genus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.scores.scores import Scores

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Figure:
    """One column of the paper's table 1: a figure of A, of B, and B - A."""

    name: str
    a: Interval
    b: Interval
    difference: Interval


@dataclass(frozen=True)
class Disagreement:
    """Photos by who is right, and McNemar's exact test on those where only one is."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def photos(self) -> int:
        """All of them."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def p_value(self) -> float:
        """Two-sided exact binomial test (McNemar 1947, its exact form): are A and B as good?"""
        return sign_test(self.only_a, self.only_b)


@dataclass(frozen=True)
class Discrepancy:
    """A photo that one model names rightly and the other does not."""

    photo_id: str
    country: str
    species: str
    answer_a: str
    answer_b: str
    probability_a: float  # of the true species
    probability_b: float


@dataclass(frozen=True)
class SpeciesGain:
    """What B gains on the photos of one species."""

    species: str
    training_photos: int | None
    photos: int
    recall_a: float
    recall_b: float
    f1_a: float
    f1_b: float

    @property
    def gain(self) -> float:
        """Recall of B less that of A."""
        return self.recall_b - self.recall_a


@dataclass(frozen=True)
class Trend:
    """A straight line through the species' gains over log10 of their training photos.

    Attributes:
        slope: gain in recall for ten times the training photos; below 0, rare species gain most.
        photos: where the line was evaluated.
        line, low, high: the line there and its pointwise 95 % band.
    """

    slope: Interval
    photos: NDArray[np.float64]
    line: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """What kind of wrong answer a model gives. All counts of photos."""

    within_genus: int
    between_genera: int
    venomous_missed: int  # a venomous snake, answered with one not known to be venomous
    venomous_alarms: int  # the reverse


@dataclass(frozen=True)
class Confusion:
    """How often a species is taken for another."""

    species: str
    taken_for: str
    a: int
    b: int
    same_genus: bool


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that can be said of two models from their scores alone."""

    names: tuple[str, str]
    species: int
    observations: int
    left_out: int  # photos that one of the two could not read, or whose species is not known
    resamples: int
    figures: tuple[Figure, ...]
    disagreement: Disagreement
    gains_of_b: tuple[Discrepancy, ...]  # B right, A wrong; the largest discrepancy first
    gains_of_a: tuple[Discrepancy, ...]
    per_species: tuple[SpeciesGain, ...]
    trend: Trend | None
    errors: tuple[Errors, Errors]
    confusions: tuple[Confusion, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, in lists and numbers that JSON knows."""
        values = asdict(self)
        values["disagreement"]["p_value"] = self.disagreement.p_value
        if self.trend:
            for name in ("photos", "line", "low", "high"):
                values["trend"][name] = getattr(self.trend, name).tolist()
        return values

    def _repr_html_(self) -> str:
        """What a notebook shows: the paper's table 1, with 95 % intervals."""

        def cell(found: Interval, sign: str) -> str:
            low, high = (f"{100 * bound:{sign}.2f}" for bound in (found.low, found.high))
            return f"{100 * found.value:{sign}.2f} ({low} to {high})"

        sides = ((self.names[0], "a", ""), (self.names[1], "b", ""), ("B - A", "difference", "+"))
        rows = [
            (name, *(cell(getattr(figure, side), sign) for figure in self.figures))
            for name, side, sign in sides
        ]
        return html_table(("", *(f"{figure.name}, %" for figure in self.figures)), rows)

    def write(self, path: str | Path) -> Path:
        """Write the comparison as one self-contained HTML file; see `report.write_report`."""
        from ophis.evaluation.report.page import write_report  # noqa: PLC0415 - needs matplotlib, a report's alone

        return write_report(self, path)


def compare(
    a: Scores,
    b: Scores,
    *,
    names: tuple[str, str] = ("A", "B"),
    training_photos: Mapping[str, int] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two models on the photos that both have scored.

    Args:
        a: scores of model A.
        b: scores of model B, of the same photos and species; their order may differ.
        names: what to call the two.
        training_photos: photos of each species in training, for the gains of rare species.
        resamples: of the bootstrap over observations.
        seed: of the bootstrap.

    Returns:
        Figures with percentile intervals from a bootstrap over observations (photos of one snake
        stay together), paired: both models see the same resamples.

    Raises:
        InputError: when photos, species or truth of the two do not agree.
    """
    a, b, left_out = _labelled(a, b, names)
    right = (predictions(a) == a.truth, predictions(b) == b.truth)
    per_species = _per_species(a, b, training_photos)
    return Comparison(
        names=names,
        species=len(a.species),
        observations=len(set(a.observations)),
        left_out=left_out,
        resamples=resamples,
        figures=_figures(a, b, resamples, seed),
        disagreement=Disagreement(
            both=int((right[0] & right[1]).sum()),
            only_a=int((right[0] & ~right[1]).sum()),
            only_b=int((~right[0] & right[1]).sum()),
            neither=int((~right[0] & ~right[1]).sum()),
        ),
        gains_of_b=_discrepancies(a, b, right[1] & ~right[0], wrong=a),
        gains_of_a=_discrepancies(a, b, right[0] & ~right[1], wrong=b),
        per_species=per_species,
        trend=trend(per_species, resamples=resamples, seed=seed),
        errors=(_errors(a), _errors(b)),
        confusions=_confusions(a, b),
    )


def sign_test(one: int, other: int) -> float:
    """Two-sided exact p of ``one`` heads and ``other`` tails of a fair coin."""
    tosses = one + other
    term, tail = 1, 0  # binomials as whole numbers: exact for any count
    for heads in range(min(one, other) + 1):
        tail += term
        term = term * (tosses - heads) // (heads + 1)
    return min(1.0, 2 * tail / 2**tosses)


def _labelled(a: Scores, b: Scores, names: tuple[str, str]) -> tuple[Scores, Scores, int]:
    """Both aligned, photos of unknown species left out, and how many are left out in all."""
    photos = {photo for s in (a, b) for photo in (*s.photo_ids, *(f.photo_id for f in s.failures))}
    a, b = aligned((a, b), names)
    known = a.truth >= 0
    if not known.any():
        raise InputError("no photo that both have scored has a known species; add `species`")
    return a.take(known), b.take(known), len(photos) - int(known.sum())


def _figures(a: Scores, b: Scores, resamples: int, seed: int) -> tuple[Figure, ...]:
    """Top-1, top-5 and macro F1 of both, with intervals."""
    observations = np.unique(a.observations, return_inverse=True)[1]
    count = int(observations.max()) + 1
    truth, answers = a.truth, (predictions(a), predictions(b))
    hits = [(ranks(s) < k).astype(np.float64) for k in (1, 5) for s in (a, b)]

    def figures(weights: NDArray[np.float64]) -> list[float]:
        shares = [float(weights @ hit / weights.sum()) for hit in hits]
        return shares + [macro_f1(truth, answer, weights=weights) for answer in answers]

    chance = np.random.default_rng(seed)
    fair = np.full(count, 1 / count)
    drawn = np.array(
        [
            figures(chance.multinomial(count, fair)[observations].astype(np.float64))
            for _ in range(resamples)
        ]
    )
    whole = np.array(figures(np.ones(len(a))))
    return tuple(
        Figure(
            name,
            interval(whole[n], drawn[:, n]),
            interval(whole[n + 1], drawn[:, n + 1]),
            interval(whole[n + 1] - whole[n], drawn[:, n + 1] - drawn[:, n]),
        )
        for name, n in (("top-1", 0), ("top-5", 2), ("macro F1", 4))
    )


def interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    """A figure between the percentiles of its bootstrap."""
    outside = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(drawn, (outside, 100 - outside))
    return Interval(float(value), float(low), float(high))


def _discrepancies(
    a: Scores, b: Scores, rows: NDArray[np.bool_], *, wrong: Scores
) -> tuple[Discrepancy, ...]:
    """The rows, the one to which ``wrong`` gives the least probability first.

    As in the paper: of the photos that the one model names rightly, those where the other gives
    the true species the smallest probability. Ordered by its logarithm, which does not vanish.
    """
    numbers = np.flatnonzero(rows)
    own = [_of_truth(s.take(numbers)) for s in (a, b)]
    order = np.argsort(_of_truth(wrong.take(numbers)), kind="stable")
    answers = predictions(a), predictions(b)
    return tuple(
        Discrepancy(
            photo_id=a.photo_ids[row],
            country=a.countries[row],
            species=a.species[a.truth[row]],
            answer_a=a.species[answers[0][row]],
            answer_b=a.species[answers[1][row]],
            probability_a=float(np.exp(own[0][n])),
            probability_b=float(np.exp(own[1][n])),
        )
        for n, row in ((n, numbers[n]) for n in order)
    )


def _of_truth(scores: Scores) -> NDArray[np.float64]:
    """Log-probability of the true species, [photos]."""
    logs = log_probabilities(scores.logits)
    return np.take_along_axis(logs, scores.truth[:, None], axis=1)[:, 0]


def _per_species(
    a: Scores, b: Scores, training_photos: Mapping[str, int] | None
) -> tuple[SpeciesGain, ...]:
    """A row for each species that occurs, in the order of the list."""
    length, truth = len(a.species), a.truth
    photos = np.bincount(truth, minlength=length)
    columns = []
    for answer in (predictions(a), predictions(b)):
        hit = np.bincount(truth[truth == answer], minlength=length)
        answered = np.bincount(answer, minlength=length)
        columns.append((hit / np.maximum(photos, 1), 2 * hit / np.maximum(photos + answered, 1)))
    return tuple(
        SpeciesGain(
            species=a.species[s],
            training_photos=None
            if training_photos is None
            else training_photos.get(a.species[s], 0),
            photos=int(photos[s]),
            recall_a=float(columns[0][0][s]),
            recall_b=float(columns[1][0][s]),
            f1_a=float(columns[0][1][s]),
            f1_b=float(columns[1][1][s]),
        )
        for s in np.flatnonzero(photos)
    )


def trend(rows: tuple[SpeciesGain, ...], *, resamples: int, seed: int) -> Trend | None:
    """Least squares of gain over log10(training photos), every species alike.

    The interval comes from a bootstrap over species. None where training photos are not known or
    all species have the same number.
    """
    rows = tuple(row for row in rows if row.training_photos)
    if len({row.training_photos for row in rows}) < 3:
        return None
    x = np.log10([float(row.training_photos or 0) for row in rows])
    y = np.array([row.gain for row in rows])
    at = np.linspace(x.min(), x.max(), 50)
    chance = np.random.default_rng(seed)
    weights = chance.multinomial(len(x), np.full(len(x), 1 / len(x)), size=resamples)
    slopes, offsets = _lines(x, y, np.concatenate([np.ones((1, len(x))), weights]))
    drawn = offsets[1:, None] + slopes[1:, None] * at
    drawn = drawn[np.isfinite(drawn).all(axis=1)]  # a resample of one species has no slope
    bounds = np.percentile(drawn, (50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)), axis=0)
    return Trend(
        slope=interval(slopes[0], slopes[1:][np.isfinite(slopes[1:])]),
        photos=10**at,
        line=offsets[0] + slopes[0] * at,
        low=bounds[0],
        high=bounds[1],
    )


def _lines(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted least squares, a line for each row of weights: slopes and offsets."""
    total = weights.sum(axis=1)
    mean_x, mean_y = weights @ x / total, weights @ y / total
    covariance = weights @ (x * y) / total - mean_x * mean_y
    variance = weights @ (x * x) / total - mean_x**2
    slopes = np.full(len(total), np.nan)
    np.divide(covariance, variance, out=slopes, where=variance > 1e-12)
    return slopes, mean_y - slopes * mean_x


def _errors(scores: Scores) -> Errors:
    """Count the kinds of wrong answers."""
    names = scores.species.names
    genera = np.array([genus(name) for name in names])
    venomous = np.array([danger(name) is Danger.VENOMOUS for name in names])
    truth, answer = scores.truth, predictions(scores)
    same_genus = genera[truth] == genera[answer]
    return Errors(
        within_genus=int((same_genus & (truth != answer)).sum()),
        between_genera=int((~same_genus).sum()),
        venomous_missed=int((venomous[truth] & ~venomous[answer]).sum()),
        venomous_alarms=int((~venomous[truth] & venomous[answer]).sum()),
    )


def _confusions(a: Scores, b: Scores) -> tuple[Confusion, ...]:
    """Pairs that A or B confuses, the most frequent first."""
    counts: list[Counter[tuple[int, int]]] = []
    for scores in (a, b):
        answer = predictions(scores)
        wrong = answer != scores.truth
        pairs = zip(scores.truth[wrong].tolist(), answer[wrong].tolist(), strict=True)
        counts.append(Counter(pairs))
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
