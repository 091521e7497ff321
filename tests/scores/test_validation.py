from dataclasses import replace

import numpy as np
import pytest

from ophis import Scores, SpeciesList
from ophis.scores.validation import validation_halves


def named(observations: list[str], truth: list[int] | np.ndarray, species: int = 8) -> Scores:
    """Return scores of one photo for each entry."""
    photos = len(observations)
    return Scores(
        logits=np.zeros((photos, species)),
        species=SpeciesList(tuple(f"Genus{n} species" for n in range(species))),
        photo_ids=tuple(f"photo {n}" for n in range(photos)),
        truth=np.asarray(truth, np.int64),
        countries=("UNKNOWN",) * photos,
        observations=tuple(observations),
    )


def test_halves_keep_observations_and_ignore_order():
    rng = np.random.default_rng(10)
    scores = named([str(n // 4) for n in range(400)], rng.integers(-1, 8, 400))
    a, b = validation_halves(scores)
    assert not set(a.observations) & set(b.observations)
    assert set(a.photo_ids) | set(b.photo_ids) == set(scores.photo_ids)
    assert 150 < len(a) < 250
    turned, _ = validation_halves(scores.take(np.arange(400)[::-1]))
    assert set(turned.photo_ids) == set(a.photo_ids)
    other, _ = validation_halves(scores.with_species(SpeciesList(scores.species.names[::-1])))
    assert set(other.photo_ids) == set(a.photo_ids)


@pytest.mark.parametrize("photos", [3, 4, 6])
def test_each_half_has_half_of_each_species_of_sequential_names(photos):
    """The last bit of a CRC32 put all photos of `species/001.jpg`, ... into one half."""
    names = [f"genus_{kind}/{n:03}.jpg" for kind in range(87) for n in range(1, photos + 1)]
    scores = named(names, np.repeat(np.arange(87), photos), species=87)
    sizes = [np.bincount(half.truth, minlength=87) for half in validation_halves(scores)]
    assert (sizes[0] + sizes[1] == photos).all()
    assert (np.abs(sizes[0] - sizes[1]) == photos % 2).all()


def test_species_of_one_observation_are_in_either_half():
    scores = named([str(n) for n in range(400)], np.arange(400), species=400)
    first, second = validation_halves(scores)
    assert 150 < len(first) < 250
    assert len(first) + len(second) == 400


def test_unlabelled_photos_do_not_move_labelled_ones():
    """The card evaluates the labelled photos of the second half of all."""
    rng = np.random.default_rng(1)
    scores = named([str(n // 3) for n in range(300)], np.repeat(rng.integers(-1, 8, 100), 3))
    known = scores.take(scores.truth >= 0)
    for half, all_photos in zip(validation_halves(known), validation_halves(scores), strict=True):
        assert set(half.photo_ids) == set(all_photos.take(all_photos.truth >= 0).photo_ids)
    mixed = replace(scores, truth=np.where(np.arange(300) % 3, scores.truth, -1))
    assert validation_halves(mixed)[0].photo_ids == validation_halves(scores)[0].photo_ids
