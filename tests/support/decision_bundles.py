"""Bundles of every kind of prior and rule, with a classifier of given logits."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ophis import CountryPrior, SpeciesList
from ophis.decision.calibration import Calibration
from ophis.decision.conformal import PredictionSets
from ophis.decision.guarantees import Guarantees
from ophis.decision.rule import fit_rule
from ophis.images.preprocessing import Preprocessing
from ophis.images.test_time_augmentation import NO_TTA
from ophis.inference.bundles.bundle import Bundle, Member
from ophis.inference.classifier import Classifier
from ophis.priors.bayes import BayesPrior
from ophis.priors.bayes import Settings as Smoothing
from ophis.priors.location import LocationPrior
from ophis.priors.overrides import Override
from ophis.priors.range_maps import RangeMap, RangeMapPrior
from ophis.priors.records import Records
from ophis.scores.scores import Scores
from ophis.taxonomy.species_list import species_key

SPECIES = SpeciesList(
    (
        "Naja naja", "Naja kaouthia", "Naja sp.", "Bungarus caeruleus", "Daboia russelii",
        "Crotalus atrox", "Crotalus horridus", "Charina bottae", "Python regius",
        "Pantherophis guttatus", "Pantherophis obsoletus", "Thamnophis sirtalis", "Natrix natrix",
        "Lampropeltis getula", "water snake", "Synthetic red snake",
    )
)  # fmt: skip


HARMLESS = SpeciesList(("Pantherophis guttatus", "Pantherophis obsoletus", "Thamnophis sirtalis"))


def png(photo: Image.Image) -> bytes:
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    return buffer.getvalue()


def noise(width: int, height: int, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    return png(Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)))


# Photos by the reason why they are unusable; None: usable.
FILES = {None: noise(70, 70, 1), "small": noise(40, 90, 2), "flat": png(Image.new("L", (70, 70)))}


class LogitsClassifier(Classifier):
    """Classifier with logits and OOD scores given by a test."""

    logits: np.ndarray[Any, Any]
    ood_score: np.ndarray[Any, Any]

    def __init__(self, bundle):
        self.bundle = bundle

    def _scores_and_evidence(self, photos, place, *, evidence):
        names = tuple(photo.name for photo in photos)
        scores = Scores(
            logits=self.logits, species=self.bundle.species, photo_ids=names,
            truth=np.full(len(names), -1), countries=(place.country,) * len(names),
            observations=names, ood_score=self.ood_score,
        )  # fmt: skip
        return scores, ((),) * len(names)


def counts(species: SpeciesList) -> CountryPrior:
    """Return counts with two names of one country, UNKNOWN, and species without photos."""
    rng = np.random.default_rng(3)
    countries = ("UNKNOWN", "atlantis", "bahamas", "india", "kenya", "mexico", "nepal",
                 "the-bahamas", "united-states-of-america")  # fmt: skip
    table = rng.poisson(2.0, (len(countries), len(species))) * rng.integers(0, 2, len(species))
    table[:, 0] += 1
    return CountryPrior(species, countries, table)


def range_map(species: SpeciesList) -> RangeMap:
    rng = np.random.default_rng(4)
    codes = ("BS", "IN", "KE", "MX", "NP", "TH", "US")
    places = {
        species_key(name): frozenset(code for code in codes if rng.random() < 0.4)
        for name in list(species)[:-1]
    }
    return RangeMap(places, frozenset(codes))


def located(base: BayesPrior) -> LocationPrior:
    """Return a prior of positions with records in India and Nepal, Kenya, the Bering Strait and on
    an island; one species has none."""
    rng = np.random.default_rng(6)
    centres = np.array([(27, 85), (20, 78), (-1, 37), (66, 180), (-17.5, 178), (89.5, 10)])
    latitude, longitude = (
        centres[rng.integers(0, len(centres), 900)] + rng.normal(0, 3, (900, 2))
    ).T
    column = rng.choice(len(base.species) - 1, 900, p=rng.dirichlet(np.ones(len(base.species) - 1)))
    records = Records.of(
        base.species, latitude=np.clip(latitude, -90, 90),
        longitude=(longitude + 180) % 360 - 180, column=column,
    )  # fmt: skip
    return LocationPrior(base, records)


def validation(species: SpeciesList, *, ood_score: bool) -> Scores:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, len(species), 900)
    logits = rng.normal(0, 1.5, (900, len(species)))
    logits[np.arange(900), truth] += 5
    names = tuple(map(str, range(900)))
    return Scores(
        logits=logits.astype(np.float32), species=species, photo_ids=names, truth=truth,
        countries=tuple(rng.choice(["india", "kenya", "nepal", "UNKNOWN"], 900).tolist()),
        observations=names,
        ood_score=rng.gamma(2.0, size=900).astype(np.float32) if ood_score else None,
    )  # fmt: skip


def bundle(species, *, prior=None, rule="", calibration=None) -> Bundle:
    """Return a bundle; `rule` names the OOD score, "" for a bundle without evaluation."""
    learned = validation(species, ood_score=rule == "feature distance")
    member = Member(Path("none"), species, Preprocessing(32, (0.5,) * 3, (0.5,) * 3), None)
    return Bundle(
        Path("none"), "0123456789ab", species, (member,), NO_TTA, calibration, prior,
        fit_rule(learned, calibration=calibration, prior=prior) if rule else None,
    )  # fmt: skip


def sure(species: SpeciesList) -> Bundle:
    """Return a bundle with small sets and a country that excludes most venomous species."""
    table = np.ones((2, len(species)), np.int64)
    table[0, :7] = 0
    size = len(species)
    sets = PredictionSets(species, 0.95, np.full(size, 0.8), np.full(size, 900))
    guarantees = Guarantees(names=sets, danger=sets)
    made = bundle(species, prior=CountryPrior(species, ("kenya", "india"), table), rule="energy")
    assert made.rule
    return replace(made, rule=replace(made.rule, image=guarantees, country=sets))


def without_country() -> Bundle:
    """Return a bundle with a prior whose rule was fitted without one."""
    made = bundle(SPECIES, rule="energy")
    return replace(made, prior=counts(SPECIES))


def bundles() -> dict[str, Bundle]:
    paper = counts(SPECIES)
    overrides = (Override("india", "Naja naja", 0.5), Override("KE", "Naja naja", 0.0),
             Override("TH", "Python regius", None))  # fmt: skip
    smoothing = Smoothing(
        range_map_photos=0.3, temperature=1.7, world_exponent=0.75, wrong_country_fraction=0.1
    )
    bayes = BayesPrior(paper, smoothing, range_map(SPECIES), overrides)
    excluding = BayesPrior(
        paper,
        Smoothing(wrong_country_fraction=0.0),
        overrides=tuple(Override("KE", s, 0.0) for s in SPECIES[:9]),
    )
    listed = RangeMapPrior(SPECIES, range_map(SPECIES))
    by_species = Calibration(
        np.linspace(0.5, 1.5, len(SPECIES)), np.linspace(-1, 1, len(SPECIES)), SPECIES
    )
    warm = Calibration(np.array(0.8), np.array(0.0))
    return {
        "image": bundle(SPECIES),
        "image, evaluated": bundle(SPECIES, rule="energy", calibration=warm),
        "counts": bundle(SPECIES, prior=paper),
        "counts, evaluated": bundle(SPECIES, prior=paper, rule="feature distance"),
        "counts, sure": sure(SPECIES),
        "counts, no sets of a country": without_country(),
        "bayes": bundle(SPECIES, prior=bayes, calibration=warm),
        "bayes, evaluated": bundle(SPECIES, prior=bayes, rule="feature distance"),
        "bayes, excluding": bundle(SPECIES, prior=excluding, rule="energy", calibration=by_species),
        "range_map": bundle(SPECIES, prior=listed, calibration=by_species),
        "range_map, evaluated": bundle(
            SPECIES, prior=listed, rule="energy", calibration=by_species
        ),
        "location": bundle(SPECIES, prior=located(bayes), calibration=warm),
        "location, evaluated": bundle(SPECIES, prior=located(bayes), rule="energy"),
        "harmless": bundle(HARMLESS, prior=counts(HARMLESS), rule="energy"),
    }


BUNDLES = bundles()
