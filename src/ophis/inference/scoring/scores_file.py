"""Scores of all photos of a manifest, written in parts so that a stopped run continues."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.images.test_time_augmentation import tta_crops
from ophis.inference.bundles.bundle import Bundle, read_bundle
from ophis.inference.bundles.registry import bundle_folder
from ophis.inference.classifier import Classifier
from ophis.inference.engine import EngineKind
from ophis.inference.scoring.parts import PART_PHOTOS, ScoreParts
from ophis.inference.scoring.ray_workers import score_with_ray
from ophis.scores.scores import Scores, concatenate, read_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ophis.datasets.manifest import Manifest
    from ophis.images.test_time_augmentation import Tta
    from ophis.taxonomy.species_list import SpeciesList

log = logging.getLogger(__name__)


def score(
    bundle: str | Path | Bundle,
    manifest: Manifest,
    *,
    out: str | Path,
    tta: Sequence[Tta | str] | None = None,
    engine: EngineKind | str = EngineKind.ONNXRUNTIME,
    workers: int | None = None,
    ray: str | None = None,
    worker_cores: int = 1,
    part_photos: int = PART_PHOTOS,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Score every photo of a manifest without its country and write the scores to a file.

    Parts of the scores lie in the folder ``OUT.parts`` until all are there. The same call after a
    stop scores the missing parts only, with Ray or without, and writes the same bytes.

    Args:
        bundle: a folder, "imagenet17", "hf://owner/name", or a bundle already read. With Ray its
            folder, the photos and ``out`` need the same path on all machines.
        manifest: the photos.
        out: the scores file, .npz.
        tta: kinds of test-time augmentation, see `tta_crops`; by default those of the bundle.
        engine: runtime of the networks: see `EngineKind`.
        workers: threads that read photos in this process; by default one a processor core.
        ray: score with Ray Data: "local" for workers on this machine, otherwise the address of a
            cluster as `ray.init` takes it, "auto" on one of its machines.
        worker_cores: processor cores of each Ray worker.
        part_photos: photos of a part, an even number.
        progress: called with the number of photos done since the last call, first with those of
            an earlier run.

    Returns:
        Scores, read back from the file.

    Raises:
        InputError: when the parts of an earlier run are of other photos, by table or content, or of
            another model, are in use or damaged, when the file cannot be written, or when the Ray
            cluster fails.
    """
    if not isinstance(bundle, Bundle):
        bundle = read_bundle(bundle_folder(bundle))
    manifest.truth(bundle.species)  # refuses an unknown species before the work starts
    crops = bundle.tta if tta is None else tta_crops(*tta)
    classifier = None if ray else Classifier(bundle, engine=engine)  # a failure leaves no parts
    with ScoreParts.open(
        out, manifest, bundle=bundle, tta=crops, engine=engine, photos=part_photos
    ) as parts:
        missing = parts.missing()
        _report_resume(parts, missing, progress)
        if missing and classifier:
            photos = manifest.take(np.concatenate([parts.rows(number) for number in missing]))
            batches = classifier.batches(photos, tta=crops, workers=workers)
            _score_parts(parts, missing, batches, progress)
        elif missing and ray:
            score_with_ray(
                parts,
                missing,
                bundle=bundle,
                tta=crops,
                engine=engine,
                address=ray,
                worker_cores=worker_cores,
                progress=progress,
            )
        _join(parts, bundle.species, out)
    return read_scores(out)


def _join(parts: ScoreParts, species: SpeciesList, out: str | Path) -> None:
    """Write the scores file and remove the parts."""
    parts.locked.require_in_place()
    try:
        parts.joined(species).write(out)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{parts.folder}: cannot be written: {reason}") from None
    parts.remove()


def _report_resume(
    parts: ScoreParts, missing: Sequence[int], progress: Callable[[int], None] | None
) -> None:
    """Log and count the photos that an earlier run scored."""
    photos = len(parts.manifest) - sum(len(parts.rows(number)) for number in missing)
    if photos:
        log.info("continuing: %s holds %d of %d photos", parts.folder, photos, len(parts.manifest))
    if progress:
        progress(photos)


def _score_parts(
    parts: ScoreParts,
    missing: Sequence[int],
    batches: Iterator[Scores],
    progress: Callable[[int], None] | None,
) -> None:
    """Write the missing parts one after the other, from one stream of batches.

    Photos are read ahead beyond the end of a part. No batch holds photos of two parts, because
    the number of photos of a part is even and batches are of one or two photos.
    """
    for number in missing:
        part: list[Scores] = []
        left = len(parts.rows(number))
        while left:
            batch = next(batches)
            photos = len(batch) + len(batch.failures)
            part.append(batch)
            left -= photos
            if progress:
                progress(photos)
        parts.locked.require_in_place()
        concatenate(part).write(parts.path(number))
