"""Whether the service can answer: shown by answering for photos of which the answer is known."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ophis.errors import Reason
from ophis.images.preprocessing import USABLE_SIDE
from ophis.inference.bundles.bundle import SELFTEST
from ophis.inference.bundles.self_test import png, require_finite, require_same
from ophis.inference.photo import read
from ophis.serve.door import log

if TYPE_CHECKING:
    from ophis.inference.classifier import Classifier
    from ophis.inference.photo import Reader


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


def require_answers(classifier: Classifier, reader: Reader = read) -> None:
    """Let every network answer, for photos of which it is known what it should say.

    The checksums of the bundle's files were verified when it was read.

    Args:
        classifier: what answers.
        reader: what reads the photos.

    Raises:
        InputError: when a network says something else than where its bundle was made, a number is
            not finite, there is no answer, or a species that was called venomous is not.
    """
    noise = _noise()
    for network in classifier.networks:
        if network.member.model.with_name(SELFTEST).exists():
            require_same(network, classifier.engine, reader)
        else:
            require_finite(network, noise, reader)
            log.info("the bundle holds no self-test: that it answers was seen, not what it says")
    # With a country, so that the first person who names one does not wait for the tables of names.
    classifier.identify(noise, country="Kenya", reader=reader)


def _noise() -> bytes:
    """A usable photo of nothing."""
    values = np.random.default_rng(0).integers(0, 256, (USABLE_SIDE, USABLE_SIDE, 3), np.uint8)
    return png(Image.fromarray(values))
