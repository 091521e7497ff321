"""Comparison of two models on the same photos, with paired intervals.

NumPy only. A is the reference and B the candidate: differences are B - A.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.evaluation.confusions import Confusion, ErrorKinds, confusions, error_kinds
from ophis.evaluation.counts import sparse_species
from ophis.evaluation.intervals import Interval, jackknife_interval
from ophis.evaluation.metrics import answers_of, predictions
from ophis.evaluation.permutation import sign_flip_test
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
    """Photos by the models that name them correctly, with a test of equal accuracy.

    Attributes:
        both, only_a, only_b, neither: numbers of photos.
        observations: number of observations in which one model is right on more photos.
        p_value: two-sided, of the sign-flip permutation test over observations; McNemar's exact
            test if every observation has one photo.
    """

    both: int
    only_a: int
    only_b: int
    neither: int
    observations: int
    p_value: float

    @property
    def photos(self) -> int:
        """Number of photos."""
        return self.both + self.only_a + self.only_b + self.neither


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
        few_photos: species with 1 to 4 photos.
        metrics: top-1, top-5 and macro F1. Macro F1 of both models is the mean over the species
            with photos, so that the label set does not depend on the model.
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
    few_photos: int
    metrics: tuple[MetricDifference, ...]
    disagreement: Disagreement
    gains_of_b: tuple[Discrepancy, ...]
    gains_of_a: tuple[Discrepancy, ...]
    per_species: tuple[SpeciesGain, ...]
    trend: Trend | None
    errors: tuple[ErrorKinds, ErrorKinds]
    confusions: tuple[Confusion, ...]

    @property
    def sparse(self) -> bool:
        """True if more than half of the species have fewer than 5 photos."""
        return 2 * self.few_photos > len(self.per_species)

    def as_dict(self) -> dict[str, Any]:
        """Return all results as types of JSON."""
        values = asdict(self)
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

    Intervals come from a jackknife over observations, which leaves out the same observation of
    both models, see `jackknife_interval`. They are for the expected figure on test photos of this
    kind and number. Macro F1 itself depends on the number of photos: with few photos of a species
    its expectation differs from that on many.

    Args:
        a: scores of model A.
        b: scores of model B, of the same photos and species in any order.
        names: names of the models.
        training_photos: training photos of each species, for the trend of the gains.
        resamples: number of bootstrap resamples over species, for the trend.
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
        few_photos=sparse_species(a.truth)[0],
        metrics=_metrics(a, b),
        disagreement=_disagreement(a, *correct),
        gains_of_b=_discrepancies(a, b, correct[1] & ~correct[0], wrong=a),
        gains_of_a=_discrepancies(a, b, correct[0] & ~correct[1], wrong=b),
        per_species=per_species,
        trend=fit_trend(per_species, resamples=resamples, seed=seed),
        errors=(error_kinds(a), error_kinds(b)),
        confusions=confusions(a, b),
    )


def _labelled(a: Scores, b: Scores, names: tuple[str, str]) -> tuple[Scores, Scores, int]:
    """Return both aligned, without photos of unknown species, and the number of photos dropped."""
    photos = {photo for s in (a, b) for photo in (*s.photo_ids, *(f.photo_id for f in s.failures))}
    a, b = aligned((a, b), names)
    known = a.truth >= 0
    if not known.any():
        raise InputError("no photo that both have scored has a known species; add `species`")
    return a.take(known), b.take(known), len(photos) - int(known.sum())


def _metrics(a: Scores, b: Scores) -> tuple[MetricDifference, ...]:
    """Top-1, top-5 and macro F1 of both, with intervals."""
    own, other = (answers_of(s).figures(with_photos=True) for s in (a, b))
    return tuple(
        MetricDifference(
            name,
            *(jackknife_interval(v[n], rest[:, n], limits=(0, 1)) for v, rest in (own, other)),
            jackknife_interval(
                other[0][n] - own[0][n], other[1][:, n] - own[1][:, n], limits=(-1, 1)
            ),
        )
        for n, name in enumerate(("top-1", "top-5", "macro F1"))
    )


def _disagreement(
    a: Scores, right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]
) -> Disagreement:
    number = np.unique(a.observations, return_inverse=True)[1]
    difference = right_b.astype(np.int64) - right_a
    by_observation = np.bincount(number, weights=difference).round().astype(np.int64)
    return Disagreement(
        both=int((right_a & right_b).sum()),
        only_a=int((right_a & ~right_b).sum()),
        only_b=int((~right_a & right_b).sum()),
        neither=int((~right_a & ~right_b).sum()),
        observations=int((by_observation != 0).sum()),
        p_value=sign_flip_test(by_observation),
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
