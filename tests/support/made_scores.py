"""Synthetic scores, their comparison and photos, for tests of reports."""

import numpy as np
from PIL import Image

from ophis import Manifest, Scores, SpeciesList, compare, read_manifest

EVIL = '<img src=x onerror="alert(1)">'


def made(photos, species, *, strength, seed, names=None, ids=None) -> Scores:
    truth = np.random.default_rng(0).integers(0, species, photos)
    logits = np.random.default_rng(seed).normal(size=(photos, species)).astype(np.float32)
    logits[np.arange(photos), truth] += strength
    ids = ids or tuple(f"photos/{n}.jpg" for n in range(photos))
    names = names or tuple(f"Genus{n // 3} species{n}" for n in range(species))
    return Scores(
        logits=logits, species=SpeciesList(tuple(names)), photo_ids=tuple(ids), truth=truth,
        countries=("kenya",) * photos, observations=tuple(ids),
    )  # fmt: skip


def compared(pair, prior, **options):
    training = prior.species_photos()
    return compare(*pair, training_photos=training, resamples=100, **options)


def photographed(folder, scores) -> Manifest:
    (folder / "photos").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["photo,species,country"]
    for row, photo in enumerate(scores.photo_ids):
        pixels = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((400, 300)).save(folder / photo)
        lines.append(f"{photo},{scores.species[scores.truth[row]]},kenya")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return read_manifest(folder / "manifest.csv")
