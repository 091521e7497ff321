"""How good scores are: top-k accuracy, macro F1, risk and coverage.

NumPy only; scikit-learn is the tests' oracle.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis.errors import InputError
from ophis.scores import log_probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.scores import Scores


@dataclass(frozen=True)
class Evaluation:
    """The figures of the paper's table 1. Shares lie in [0, 1]."""

    photos: int
    species: int  # that occur in truth or prediction: what macro F1 averages over
    top1: float
    top5: float
    macro_f1: float

    def as_dict(self) -> dict[str, float]:
        """The figures by name."""
        return asdict(self)


def evaluate(scores: Scores) -> Evaluation:
    """Judge scores of photos whose species is known; rows of unknown species are left out.

    Raises:
        InputError: when no photo has a known species.
    """
    known = scores.take(scores.truth >= 0)
    if not len(known):
        raise InputError("no photo has a known species, so nothing can be judged; add `species`")
    prediction = predictions(known)
    return Evaluation(
        photos=len(known),
        species=len(np.union1d(known.truth, prediction)),
        top1=top_k_accuracy(known, 1),
        top5=top_k_accuracy(known, 5),
        macro_f1=macro_f1(known.truth, prediction),
    )


def predictions(scores: Scores) -> NDArray[np.int64]:
    """Column of the most probable species of each photo, [photos]; the first of equals."""
    return scores.logits.argmax(axis=1).astype(np.int64)


def top_k_accuracy(scores: Scores, k: int) -> float:
    """Share of photos whose true species is among the k most probable."""
    return float((ranks(scores) < k).mean())


def ranks(scores: Scores) -> NDArray[np.int64]:
    """How many species stand before the true one, [photos].

    Of equal logits the earlier column stands first, as in `predictions`, so that top-1 never
    exceeds top-5; behind a species that the scores call impossible (-inf) stands none.
    """
    own = np.take_along_axis(scores.logits, scores.truth[:, None], axis=1)  # [photos, 1]
    columns = np.arange(scores.logits.shape[1])
    before = (scores.logits > own) | ((scores.logits == own) & (columns < scores.truth[:, None]))
    return np.where(np.isfinite(own[:, 0]), before.sum(axis=1), len(columns))


def macro_f1(
    truth: NDArray[np.int64],
    prediction: NDArray[np.int64],
    *,
    weights: NDArray[np.float64] | None = None,
) -> float:
    """Mean over species of F1, over the species that occur in truth or prediction.

    Equal to ``sklearn.metrics.f1_score(..., average="macro", zero_division=0)``: a species
    that occurs but is never hit counts 0, one that occurs nowhere does not count.

    Args:
        truth: [photos], columns.
        prediction: [photos], columns.
        weights: [photos], how often each photo counts; a photo of weight 0 does not occur.
    """
    weights = np.ones(len(truth)) if weights is None else weights
    length = int(max(truth.max(), prediction.max())) + 1
    hits = weights * (truth == prediction)
    hit = np.bincount(truth, hits, minlength=length)
    occurring = np.bincount(truth, weights, minlength=length)
    occurring += np.bincount(prediction, weights, minlength=length)
    occurs = occurring > 0
    return float((2 * hit[occurs] / occurring[occurs]).mean())


def risk_coverage(scores: Scores) -> pl.DataFrame:
    """What is wrong among the answers when only the surest are given.

    Args:
        scores: calibrated; photos of unknown species are left out.

    Returns:
        `coverage, risk, probability`, a row a photo, the surest first: the share answered, the
        share wrong of those, and how sure the last of them is (El-Yaniv and Wiener 2010).

    Raises:
        InputError: when no photo has a known species.
    """
    known = scores.take(scores.truth >= 0)
    if not len(known):
        raise InputError("no photo has a known species, so nothing can be judged; add `species`")
    sure = np.exp(log_probabilities(known.logits)).max(axis=1)
    order = np.argsort(-sure, kind="stable")
    wrong = (known.logits.argmax(axis=1) != known.truth)[order]
    answered = np.arange(1, len(known) + 1)
    return pl.DataFrame(
        {
            "coverage": answered / len(known),
            "risk": wrong.cumsum() / answered,
            "probability": sure[order],
        }
    )
