"""Danger verdict: whether the snake in a photo may be venomous.

There are two verdicts and no all-clear. NOT_KNOWN_DANGEROUS needs that no venomous species is in
the conformal sets of the image alone, that the image shows no danger, and that the answer has a
name. A country can add a warning; it can never remove one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.decision.conformal import ROUNDING
from ophis.decision.guarantees import MIN_SINGLE_NAME
from ophis.scores.scores import log_probabilities
from ophis.taxonomy.danger import dangerous

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ophis.decision.guarantees import Guarantees
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList

# Probability of venomous species at which an image shows danger.
MIN_IMAGE_DANGER = 1 - MIN_SINGLE_NAME


class Verdict(StrEnum):
    """Verdict on the danger. An all-clear is left out on purpose."""

    MAY_BE_VENOMOUS = "may be venomous"
    NOT_KNOWN_DANGEROUS = "not known to be dangerous"


def danger_not_excluded(image: Scores, guarantees: Guarantees) -> NDArray[np.bool_]:
    """Return the photos whose verdict is MAY_BE_VENOMOUS by the image alone, [photos].

    Args:
        image: calibrated scores of the image alone.
        guarantees: conformal sets that exclude species.

    Raises:
        InputError: the scores are of other species than the guarantees.
    """
    return guarantees.may_be_venomous(image) | image_danger(image)


def image_danger(image: Scores) -> NDArray[np.bool_]:
    """Return the photos that show a venomous species with a probability of 20 % or more, [photos].

    With many species of small probability the sets alone could leave such a danger out.

    Args:
        image: calibrated scores of the image alone.
    """
    return logits_show_danger(image.logits, image.species)


def logits_show_danger(
    logits: NDArray[np.floating[Any]], species: SpeciesList
) -> NDArray[np.bool_]:
    """Return the rows of logits, [photos, species], of `image_danger`."""
    probability = np.exp(log_probabilities(logits))
    danger = probability[:, dangerous(species)].sum(axis=1)
    seen: NDArray[np.bool_] = danger >= MIN_IMAGE_DANGER - ROUNDING
    return seen
