"""Danger verdict: whether the snake in a photo may be venomous.

There are two verdicts and no all-clear. NOT_KNOWN_DANGEROUS needs that no venomous species is in
the conformal sets, that the image alone shows no danger, and that the answer has a name. A country
can never remove a warning that the image gives.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ophis.decision.conformal import ROUNDING
from ophis.decision.guarantees import MIN_SINGLE_NAME
from ophis.scores.scores import log_probabilities
from ophis.taxonomy.danger import dangerous

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.decision.guarantees import Guarantees
    from ophis.scores.scores import Scores

# Probability of venomous species, by the image alone, that no country overrides.
MIN_IMAGE_DANGER = 1 - MIN_SINGLE_NAME


class Verdict(StrEnum):
    """Verdict on the danger. An all-clear is left out on purpose."""

    MAY_BE_VENOMOUS = "may be venomous"
    NOT_KNOWN_DANGEROUS = "not known to be dangerous"


def danger_not_excluded(
    scores: Scores, guarantees: Guarantees, *, image: Scores | None = None
) -> NDArray[np.bool_]:
    """Return the photos whose verdict is MAY_BE_VENOMOUS, [photos].

    Args:
        scores: with calibration or prior applied, as ``guarantees`` are fitted on.
        guarantees: conformal sets that exclude species.
        image: calibrated scores of the image alone, if a prior is applied to ``scores``.

    Raises:
        InputError: the scores are of other species than the guarantees.
    """
    danger = guarantees.may_be_venomous(scores)
    return danger if image is None else danger | image_danger(image)


def image_danger(image: Scores) -> NDArray[np.bool_]:
    """Return the photos that show a venomous species by the image alone, [photos].

    A country may lack training photos of a species, and an animal may be imported: a danger that
    the image shows this clearly is kept whatever the country.

    Args:
        image: calibrated scores of the image alone.
    """
    probability = np.exp(log_probabilities(image.logits))
    danger = probability[:, dangerous(image.species)].sum(axis=1)
    seen: NDArray[np.bool_] = danger >= MIN_IMAGE_DANGER - ROUNDING
    return seen
