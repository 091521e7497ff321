"""Calibration of probabilities: reliability measures, temperature scaling, calibrated logits.

The fit of a factor and an offset for each species is in `vector_scaling`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ophis.decision.calibration_error import (
    bin_of,
    calibration_error,
    calibration_error_floor,
    rms_calibration_error,
)
from ophis.errors import InputError, require_numbers
from ophis.files.atomic import whole_file
from ophis.files.content import content_of, read_json
from ophis.scores.scores import log_probabilities
from ophis.scores.temperature import best_temperature
from ophis.taxonomy.species_list import require_same_species

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from ophis.priors.prior import Prior
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

BINS = 15
# Widest calibration that is read. Fitted temperatures lie between 1e-3 and 1e3; larger numbers
# leave nothing of the image's own evidence, or overflow.
MAX_SCALE, MAX_OFFSET = 1e6, 1e3


@dataclass(frozen=True)
class Reliability:
    """Reliability of probabilities.

    Attributes:
        photos: number of photos of a known species.
        log_loss: mean of -log p(true species).
        brier: mean over photos of the squared distance to the truth, from 0 to 2.
        ece: expected calibration error of the most probable species: mean distance between
            confidence and accuracy, in 15 bins of equal width.
        ece_floor: mean ECE that perfectly calibrated probabilities have on as many photos.
        rms_calibration_error: root mean square distance in the same bins, debiased (Kumar et al.
            2019); about 0 for perfect calibration, whatever the number of photos.
        classwise_ece: the same for every species' probability, averaged over species.
        bins: `confidence, right, photos` of each bin that holds any, for the reliability plot.
    """

    photos: int
    log_loss: float
    brier: float
    ece: float
    ece_floor: float
    rms_calibration_error: float
    classwise_ece: float
    bins: pl.DataFrame

    def as_dict(self) -> dict[str, float]:
        """Return the results by name, without the bins."""
        return {
            "log_loss": self.log_loss,
            "brier_score": self.brier,
            "ece": self.ece,
            "ece_floor": self.ece_floor,
            "rms_calibration_error": self.rms_calibration_error,
            "classwise_ece": self.classwise_ece,
        }


@dataclass(frozen=True, eq=False)
class Calibration:
    """Calibration of logits: logits * scale + offset.

    Attributes:
        scale: one number, or [species]; 1 / temperature.
        offset: [species], or 0.
        species: species of the numbers; None if one number is for all.

    Raises:
        InputError: there are not as many numbers as species.
    """

    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    species: SpeciesList | None = None

    def __post_init__(self) -> None:
        numbers = max(self.scale.size, self.offset.size)
        known = () if self.species is None else (len(self.species),)
        if not {self.scale.shape, self.offset.shape} <= {(), known}:
            whose = f"{known[0]} species" if known else "an unknown species list"
            raise InputError(f"a calibration has {numbers} numbers for {whose}; fit it anew")

    @property
    def temperature(self) -> float:
        """Mean temperature; above 1 for an overconfident network."""
        return float(np.mean(1 / self.scale))

    @property
    def by_species(self) -> bool:
        """True if species have numbers of their own, which can change their order."""
        return max(self.scale.ndim, self.offset.ndim) > 0

    def write(self, path: str | Path) -> Path:
        """Write as JSON, atomically, without the species list."""
        values = {"scale": self.scale.tolist(), "offset": self.offset.tolist()}
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(values) + "\n", encoding="utf-8")
        return Path(path)

    def apply(self, scores: Scores) -> Scores:
        """Return scores with calibrated logits, float64.

        Raises:
            InputError: it has numbers by species, and was fitted on other species or another order.
        """
        if self.species:
            require_same_species(
                scores.species,
                self.species,
                names=("the scores", "what the calibration was fitted on"),
                fix="fit it on scores of this model",
            )
        return replace(scores, logits=scores.logits * self.scale + self.offset)


def read_calibration(path: str | Path, species: SpeciesList) -> Calibration:
    """Read a calibration file.

    Args:
        path: the file.
        species: species list of the numbers, if there is one number a species.

    Raises:
        InputError: the file is missing or damaged; the message names it.
    """
    values = read_json(path, "calibration")
    with content_of(path, "not a calibration of ophis"):
        for name, least, most in (
            ("scale", 1 / MAX_SCALE, MAX_SCALE),
            ("offset", -MAX_OFFSET, MAX_OFFSET),
        ):
            numbers = values[name] if isinstance(values[name], list) else [values[name]]
            require_numbers(name, numbers, least=least, most=most)
        scale, offset = (np.array(values[name], dtype=np.float64) for name in ("scale", "offset"))
        apart = max(scale.ndim, offset.ndim) > 0
        return Calibration(scale, offset, species if apart else None)


def reliability(scores: Scores, *, bins: int = BINS, prior: Prior | None = None) -> Reliability:
    """Return the reliability of probabilities on photos of known species.

    Args:
        scores: of photos.
        bins: of equal width, of the calibration errors.
        prior: adjusts the scores first, some rows at a time.

    Raises:
        InputError: no photo has a known species.
    """
    known = scores.truth >= 0
    if not known.any():
        raise InputError("no photo has a known species, so nothing can be evaluated; add `species`")
    loss, brier, sure = np.zeros((3, len(scores)))
    right = np.zeros(len(scores))
    gaps = np.zeros((bins, len(scores.species)))
    for rows, logits in scores.blocks(prior):
        logs = log_probabilities(logits)
        p, own = np.exp(logs), scores.truth[rows]
        photos = np.arange(len(own))
        truth = np.zeros_like(p)
        truth[photos, own] = 1
        answer = p.argmax(axis=1)
        sure[rows], right[rows] = p[photos, answer], answer == own
        loss[rows], brier[rows] = -logs[photos, own], ((p - truth) ** 2).sum(axis=1)
        _add_gaps(gaps, p[own >= 0], truth[own >= 0])
    sure, right = sure[known], right[known]
    return Reliability(
        photos=len(sure),
        log_loss=float(loss[known].mean()),
        brier=float(brier[known].mean()),
        ece=calibration_error(sure, right, bins),
        ece_floor=calibration_error_floor(sure, bins),
        rms_calibration_error=rms_calibration_error(sure, right, bins),
        classwise_ece=float(np.mean(np.abs(gaps).sum(axis=0) / len(sure))),
        bins=_bins(sure, right, bins),
    )


def _add_gaps(
    gaps: NDArray[np.float64], p: NDArray[np.float64], truth: NDArray[np.float64]
) -> None:
    """Add p - truth of each photo and species to its bin: gaps [bins, species], in place."""
    species = gaps.shape[1]
    place = bin_of(p, len(gaps)) * species + np.arange(species)
    # Sums start with earlier blocks, so that the size of blocks changes no digit.
    weights = np.concatenate([gaps.ravel(), (p - truth).ravel()])
    cells = np.concatenate([np.arange(gaps.size), place.ravel()])
    gaps[:] = np.bincount(cells, weights=weights, minlength=gaps.size).reshape(gaps.shape)


def _bins(sure: NDArray[np.float64], right: NDArray[np.float64], bins: int) -> pl.DataFrame:
    """Return `confidence, right, photos` of each bin that holds any."""
    import polars as pl  # noqa: PLC0415 - an answer loads no polars

    table = pl.DataFrame({"bin": bin_of(sure, bins), "confidence": sure, "right": right})
    grouped = table.group_by("bin").agg(
        pl.col("confidence").mean(), pl.col("right").mean(), photos=pl.len()
    )
    return grouped.sort("bin").drop("bin")


def fit_temperature(scores: Scores) -> Calibration:
    """Fit one temperature for all species by log loss (Guo et al. 2017).

    Raises:
        InputError: no photo has a known species, or a true species has a logit of -inf.
    """
    known = scores.take(scores.truth >= 0)
    if not len(known):
        raise InputError("no photo has a known species, so nothing can be evaluated; add `species`")
    known = replace(known, logits=known.logits.astype(np.float64))
    return Calibration(np.array(1 / best_temperature(known)), np.array(0.0))
