"""Whether the service can answer: shown by answering for a photo that it made itself."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError, Reason
from ophis.images import decode

if TYPE_CHECKING:
    from ophis.classifier import Classifier


class Readiness(StrEnum):
    """How far the service is; the value is what is said of it."""

    STARTING = "the service is starting; ask again in a few seconds"
    READY = "ready"
    FAILED = "the model gives no usable numbers; whoever runs this service has to export it anew"
    STOPPING = "the service is being stopped; ask again in a few seconds"

    @property
    def reason(self) -> Reason:
        """Why nothing is answered, for programs."""
        of = {Readiness.STARTING: Reason.STARTING, Readiness.STOPPING: Reason.STOPPING}
        return of.get(self, Reason.BROKEN)


def require_answer(classifier: Classifier) -> None:
    """Let every network see a drawn photo, and answer for it.

    The checksums of the bundle's files were verified when it was read.

    Raises:
        InputError: when a number is not finite, or there is no answer.
    """
    from ophis.sample.camera import photograph  # noqa: PLC0415 - with polars, which no answer needs
    from ophis.sample.population import sightings  # noqa: PLC0415

    data = photograph(sightings(36, seed=0)[0], seed=0).data
    picture = decode(data, "the drawn photo")
    for network in classifier.networks:
        scores, _ = network.look([picture], ["the drawn photo"], classifier.bundle.views)
        if not np.isfinite(scores.logits).all():
            raise InputError(f"{network.member.model}: gives numbers that are not finite")
    # With a country, so that the first person who names one does not wait for the tables of names.
    classifier.identify(data, country="Kenya")
