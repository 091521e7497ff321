"""Readiness of the service, and the self-test that proves it."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ophis.images.usability import MIN_USABLE_SIDE
from ophis.inference.bundles.index import SELFTEST
from ophis.inference.photo import read
from ophis.inference.self_test import png, require_finite, require_same
from ophis.serve.error_response import STOPPING, HTTPReason

if TYPE_CHECKING:
    from ophis.inference.classifier import Classifier
    from ophis.inference.photo import Reader

log = logging.getLogger("ophis.serve")


class Readiness(StrEnum):
    """State of the service; the value is the message of the 503 response."""

    STARTING = "the service is starting; try again in a few seconds"
    READY = "ready"
    FAILED = "the model gives no usable numbers; the operator has to export it again"
    STOPPING = STOPPING

    @property
    def reason(self) -> HTTPReason:
        """Reason code of the 503 response."""
        reasons = {
            Readiness.STARTING: HTTPReason.STARTING,
            Readiness.STOPPING: HTTPReason.STOPPING,
        }
        return reasons.get(self, HTTPReason.BROKEN)


def require_answers(classifier: Classifier, reader: Reader = read) -> None:
    """Run every network on its self-test photos, and the classifier on one photo.

    The checksums of the bundle's files were verified when it was loaded.

    Args:
        classifier: the classifier under test.
        reader: decodes the photos.

    Raises:
        InputError: when a network's logits differ from those recorded in its bundle, a logit is
            not finite, there is no answer, or a species recorded as venomous is not venomous here.
    """
    noise = _noise()
    for network in classifier.networks:
        if network.member.model.with_name(SELFTEST).exists():
            require_same(network, classifier.engine, reader)
        else:
            require_finite(network, noise, reader)
            log.info("the bundle has no self-test: only finite logits were checked")
    # With a country, so that the first request that names one need not load the country tables.
    classifier.identify(noise, country="Kenya", reader=reader)


def _noise() -> bytes:
    """Return a usable photo of noise."""
    values = np.random.default_rng(0).integers(
        0, 256, (MIN_USABLE_SIDE, MIN_USABLE_SIDE, 3), np.uint8
    )
    return png(Image.fromarray(values))
