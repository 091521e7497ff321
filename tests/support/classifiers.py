"""Classifier without a network file, for tests of the steps after the network."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ophis import CountryPrior, Scores, SpeciesList
from ophis.decision.conformal import PredictionSets
from ophis.decision.guarantees import Guarantees
from ophis.decision.rule import BY_ENERGY, DecisionRule
from ophis.images.test_time_augmentation import NO_TTA
from ophis.inference.bundles.bundle import Bundle
from ophis.inference.classifier import Classifier
from ophis.inference.evidence import Evidence

SPECIES = SpeciesList(("Naja naja", "Pantherophis guttatus", "Lampropeltis getula"))


PRIOR = CountryPrior(SPECIES, ("india", "kenya"), np.array([[1, 8, 1], [1, 1, 8]]))


MAPS = tuple(Evidence(name, 1, 2, (1.0, 0.0)) for name in SPECIES.names[:2])


class Network:
    """Network with the same logits for every photo."""

    def __init__(self, logits: list[float], ood_score: float | None = None) -> None:
        self.logits, self.ood_score = logits, ood_score

    def scores_and_evidence(
        self, photos: list[Image.Image], names: list[str], _: object, *, evidence: bool = True
    ) -> tuple[Scores, tuple[tuple[Evidence, ...], ...]]:
        rows = len(photos)
        scores = Scores(
            logits=np.array([self.logits] * rows),
            species=SPECIES,
            photo_ids=tuple(names),
            truth=np.full(rows, -1),
            countries=("UNKNOWN",) * rows,
            observations=tuple(names),
            ood_score=None if self.ood_score is None else np.full(rows, self.ood_score),
        )
        return scores, (MAPS if evidence else (),) * rows


def sets(*thresholds: float) -> PredictionSets:
    return PredictionSets(SPECIES, 0.99, np.array(thresholds), np.full(3, 1000))


def guarantees(*thresholds: float) -> Guarantees:
    return Guarantees(names=sets(*thresholds), danger=sets(*thresholds))


RULE = DecisionRule(
    image=guarantees(0.99, 0.99, 0.99),
    country=sets(0.8, 0.8, 0.8),
    by=BY_ENERGY,
    limit=np.inf,
    passing=0.9,
)


def classifier(network: Network, **parts: Any) -> Classifier:
    """Return a classifier of this network, without a file."""
    values: dict[str, Any] = {"calibration": None, "prior": None, "rule": RULE} | parts
    made = Classifier(Bundle(Path(), "made", SPECIES, (), NO_TTA, **values))
    made.networks = (network,)  # ty: ignore[invalid-assignment] - only its result is used
    return made
