"""Comparison of two models on the same photos, with paired intervals.

NumPy only. A is the reference and B the candidate: differences are B - A.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.evaluation.bootstrap import Interval, bootstrap_observations, percentile_interval
from ophis.evaluation.confusions import Confusion, ErrorKinds, confusions, error_kinds
from ophis.evaluation.metrics import macro_f1, predictions, ranks
from ophis.evaluation.species_gains import SpeciesGain, Trend, fit_trend, species_gains
from ophis.files.markup import html_table
from ophis.scores.ensemble import aligned
from ophis.scores.scores import log_probabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ophis.scores.scores import Scores


@dataclass(frozen=True)
class MetricDifference:
    """Column of the paper's table 1: a metric of A and of B, and B - A."""

    name: str
    a: Interval
    b: Interval
    difference: Interval


@dataclass(frozen=True)
class Disagreement:
    """Photos by the models that name them correctly, with McNemar's exact test."""

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def photos(self) -> int:
        """Number of photos."""
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def p_value(self) -> float:
        """Two-sided p of equal accuracy: exact binomial test (McNemar 1947, its exact form)."""
        return sign_test(self.only_a, self.only_b)


@dataclass(frozen=True)
class Discrepancy:
    """Photo that one model names correctly and the other does not."""

    photo_id: str
    country: str
    species: str
    answer_a: str
    answer_b: str
    probability_a: float  # of the true species
    probability_b: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Results of `compare`.

    Attributes:
        names: of the models.
        species: number of species in the list.
        observations: number of observations compared.
        left_out: photos that a model could not read, or of unknown species.
        resamples: of the bootstrap.
        metrics: top-1, top-5 and macro F1.
        disagreement: photos by the models that name them correctly.
        gains_of_b: photos that only B names correctly, the largest discrepancy first.
        gains_of_a: photos that only A names correctly.
        per_species: gain in recall of each species.
        trend: of the gains over the training photos, where these are known.
        errors: kinds of errors of A and of B.
        confusions: pairs of species that a model confuses.
    """

    names: tuple[str, str]
    species: int
    observations: int
    left_out: int
    resamples: int
    metrics: tuple[MetricDifference, ...]
    disagreement: Disagreement
    gains_of_b: tuple[Discrepancy, ...]
    gains_of_a: tuple[Discrepancy, ...]
    per_species: tuple[SpeciesGain, ...]
    trend: Trend | None
    errors: tuple[ErrorKinds, ErrorKinds]
    confusions: tuple[Confusion, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return all results as types of JSON."""
        values = asdict(self)
        values["disagreement"]["p_value"] = self.disagreement.p_value
        if self.trend:
            for name in ("photos", "line", "low", "high"):
                values["trend"][name] = getattr(self.trend, name).tolist()
        return values

    def _repr_html_(self) -> str:
        """Return the paper's table 1 with 95 % intervals, for notebooks."""
        rows = ((self.names[0], "a", ""), (self.names[1], "b", ""), ("B - A", "difference", "+"))
        return html_table(
            ("", *(f"{metric.name}, %" for metric in self.metrics)),
            [
                (name, *(_percent(getattr(metric, column), sign) for metric in self.metrics))
                for name, column, sign in rows
            ],
        )


def _percent(found: Interval, sign: str) -> str:
    low, high = (f"{100 * bound:{sign}.2f}" for bound in (found.low, found.high))
    return f"{100 * found.value:{sign}.2f} ({low} to {high})"


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

    Intervals are percentiles of a bootstrap over observations. It is paired: both models are
    evaluated on the same resamples.

    Args:
        a: scores of model A.
        b: scores of model B, of the same photos and species in any order.
        names: names of the models.
        training_photos: training photos of each species, for the trend of the gains.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.

    Raises:
        InputError: photos, species or true species of the two differ.
    """
    a, b, left_out = _labelled(a, b, names)
    correct = (predictions(a) == a.truth, predictions(b) == b.truth)
    per_species = species_gains(a, b, training_photos)
    return Comparison(
        names=names,
        species=len(a.species),
        observations=len(set(a.observations)),
        left_out=left_out,
        resamples=resamples,
        metrics=_metrics(a, b, resamples, seed),
        disagreement=Disagreement(
            both=int((correct[0] & correct[1]).sum()),
            only_a=int((correct[0] & ~correct[1]).sum()),
            only_b=int((~correct[0] & correct[1]).sum()),
            neither=int((~correct[0] & ~correct[1]).sum()),
        ),
        gains_of_b=_discrepancies(a, b, correct[1] & ~correct[0], wrong=a),
        gains_of_a=_discrepancies(a, b, correct[0] & ~correct[1], wrong=b),
        per_species=per_species,
        trend=fit_trend(per_species, resamples=resamples, seed=seed),
        errors=(error_kinds(a), error_kinds(b)),
        confusions=confusions(a, b),
    )


def sign_test(one: int, other: int) -> float:
    """Return the two-sided exact p of ``one`` heads and ``other`` tails of a fair coin."""
    tosses = one + other
    term, tail = 1, 0  # binomial coefficients as integers: exact for any count
    for heads in range(min(one, other) + 1):
        tail += term
        term = term * (tosses - heads) // (heads + 1)
    return min(1.0, 2 * tail / 2**tosses)


def _labelled(a: Scores, b: Scores, names: tuple[str, str]) -> tuple[Scores, Scores, int]:
    """Return both aligned, without photos of unknown species, and the number of photos dropped."""
    photos = {photo for s in (a, b) for photo in (*s.photo_ids, *(f.photo_id for f in s.failures))}
    a, b = aligned((a, b), names)
    known = a.truth >= 0
    if not known.any():
        raise InputError("no photo that both have scored has a known species; add `species`")
    return a.take(known), b.take(known), len(photos) - int(known.sum())


def _metrics(a: Scores, b: Scores, resamples: int, seed: int) -> tuple[MetricDifference, ...]:
    """Top-1, top-5 and macro F1 of both, with intervals."""
    truth, answers = a.truth, (predictions(a), predictions(b))
    hits = [(ranks(s) < k).astype(np.float64) for k in (1, 5) for s in (a, b)]

    def metrics(weights: NDArray[np.float64]) -> list[float]:
        accuracies = [float(weights @ hit / weights.sum()) for hit in hits]
        return accuracies + [macro_f1(truth, answer, weights=weights) for answer in answers]

    whole, resampled = bootstrap_observations(
        a.observations, metrics, resamples=resamples, seed=seed
    )
    return tuple(
        MetricDifference(
            name,
            percentile_interval(whole[n], resampled[:, n]),
            percentile_interval(whole[n + 1], resampled[:, n + 1]),
            percentile_interval(whole[n + 1] - whole[n], resampled[:, n + 1] - resampled[:, n]),
        )
        for name, n in (("top-1", 0), ("top-5", 2), ("macro F1", 4))
    )


def _discrepancies(
    a: Scores, b: Scores, rows: NDArray[np.bool_], *, wrong: Scores
) -> tuple[Discrepancy, ...]:
    """The rows, those first whose true species has the smallest probability under ``wrong``.

    The paper orders in the same way. Sorting by the logarithm also orders probabilities that
    underflow to 0.
    """
    numbers = np.flatnonzero(rows)
    own = [_log_probability_of_truth(s.take(numbers)) for s in (a, b)]
    order = np.argsort(_log_probability_of_truth(wrong.take(numbers)), kind="stable")
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


def _log_probability_of_truth(scores: Scores) -> NDArray[np.float64]:
    """Log-probability of the true species, [photos]."""
    logs = log_probabilities(scores.logits)
    return np.take_along_axis(logs, scores.truth[:, None], axis=1)[:, 0]
