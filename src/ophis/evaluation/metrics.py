"""How good scores are: top-k accuracy, macro F1, risk and coverage.

NumPy only; scikit-learn is the tests' oracle. Logits are looked at some rows at a time, so that
those of a large file need not be in memory; some numbers a photo are.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.files.markup import html_table
from ophis.scores.scores import log_probabilities

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from ophis.priors.prior import Prior
    from ophis.scores.scores import Scores

_MOST_OF_A_BYTE = 255


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

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        shares = (f"{self.top1:.2%}", f"{self.top5:.2%}", f"{self.macro_f1:.4f}")
        return html_table(
            ("photos", "species", "top-1", "top-5", "macro F1"),
            [(f"{self.photos:,}", f"{self.species:,}", *shares)],
        )


def evaluate(scores: Scores, *, prior: Prior | None = None) -> Evaluation:
    """Judge scores of photos whose species is known; rows of unknown species are left out.

    Args:
        scores: of photos.
        prior: adjusts them first, some rows at a time: the same as ``prior.adjust(scores)``
            without holding all of it.

    Raises:
        InputError: when no photo has a known species.
    """
    known = _known(scores)
    prediction, rank = np.zeros((2, len(scores)), np.int64)

    def judge(rows: slice, logits: NDArray[Any]) -> None:
        prediction[rows] = logits.argmax(axis=1)
        rank[rows] = _ranks(logits, scores.truth[rows])

    scores.for_each_block(judge, prior)
    truth, prediction, rank = scores.truth[known], prediction[known], rank[known]
    return Evaluation(
        photos=len(truth),
        species=len(np.union1d(truth, prediction)),
        top1=float((rank < 1).mean()),
        top5=float((rank < 5).mean()),
        macro_f1=macro_f1(truth, prediction),
    )


def _known(scores: Scores) -> NDArray[np.bool_]:
    known = scores.truth >= 0
    if not known.any():
        raise InputError("no photo has a known species, so nothing can be judged; add `species`")
    return known


def predictions(scores: Scores) -> NDArray[np.int64]:
    """Column of the most probable species of each photo, [photos]; the first of equals."""
    found = np.zeros(len(scores), np.int64)
    for rows, logits in scores.blocks():
        found[rows] = logits.argmax(axis=1)
    return found


def top_k_accuracy(scores: Scores, k: int) -> float:
    """Share of photos whose true species is among the k most probable."""
    return float((ranks(scores) < k).mean())


def ranks(scores: Scores) -> NDArray[np.int64]:
    """How many species stand before the true one, [photos].

    Of equal logits the earlier column stands first, as in `predictions`, so that top-1 never
    exceeds top-5; behind a species that the scores call impossible (-inf) stands none.
    """
    found = np.zeros(len(scores), np.int64)
    for rows, logits in scores.blocks():
        found[rows] = _ranks(logits, scores.truth[rows])
    return found


def _ranks(logits: NDArray[Any], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counted, not sorted: how many logits are higher, or as high and earlier, [photos]."""
    own = np.take_along_axis(logits, truth[:, None], axis=1)  # [photos, 1]
    before = _counts(logits > own)
    ties = np.flatnonzero(_counts(logits >= own) > before + 1)  # others than itself are as high
    earlier = np.arange(logits.shape[1]) < truth[ties, None]
    before[ties] += _counts((logits[ties] == own[ties]) & earlier)
    return np.where(np.isfinite(own[:, 0]), before, logits.shape[1])


def _counts(true: NDArray[np.bool_]) -> NDArray[np.int64]:
    """True cells of each row, in bytes as far as a byte can count: 5 times NumPy's own speed."""
    found = np.zeros(len(true), np.int64)
    for start in range(0, true.shape[1], _MOST_OF_A_BYTE):
        part = true[:, start : start + _MOST_OF_A_BYTE].view(np.uint8)
        found += part.sum(axis=1, dtype=np.uint8)
    return found


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


def risk_coverage(scores: Scores, *, prior: Prior | None = None) -> pl.DataFrame:
    """What is wrong among the answers when only the surest are given.

    Args:
        scores: calibrated; photos of unknown species are left out.
        prior: adjusts them first, some rows at a time.

    Returns:
        `coverage, risk, probability`, a row a photo, the surest first: the share answered, the
        share wrong of those, and how sure the last of them is (El-Yaniv and Wiener 2010).

    Raises:
        InputError: when no photo has a known species.
    """
    import polars as pl  # noqa: PLC0415 - an answer does without

    known = _known(scores)
    sure, wrong = np.zeros(len(scores)), np.zeros(len(scores), np.bool_)
    for rows, logits in scores.blocks(prior):
        sure[rows] = np.exp(log_probabilities(logits)).max(axis=1)
        wrong[rows] = logits.argmax(axis=1) != scores.truth[rows]
    sure, wrong = sure[known], wrong[known]
    order = np.argsort(-sure, kind="stable")
    answered = np.arange(1, len(sure) + 1)
    return pl.DataFrame(
        {
            "coverage": answered / len(sure),
            "risk": wrong[order].cumsum() / answered,
            "probability": sure[order],
        }
    )
