"""Saliency maps of the photos on which two models differ most."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch

from ophis.errors import InputError, PhotoError
from ophis.evaluation.report.examples import MAX_DISCREPANCIES, SaliencyMaps
from ophis.images.decode import read_photo
from ophis.images.preprocessing import preprocess
from ophis.train.explain.saliency import Method, concentration, mass_inside, saliency
from ophis.train.run_folder import model_of, read_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.evaluation.comparison import Comparison
    from ophis.evaluation.report.comparison_report import Explain

NOTES = {
    Method.GRADIENT: "Maps: one gradient of the true species' logit with respect to the pixels,"
    " the largest magnitude of the three channels (Simonyan et al. 2014).",
    Method.SMOOTHGRAD: "Maps: the gradient of the true species' logit, the mean of 25 noisy"
    " copies of the photo (SmoothGrad, Smilkov et al. 2017).",
    Method.GRAD_CAM: "Maps: the last feature map, weighted by its gradients for the true"
    " species' logit (Grad-CAM, Selvaraju et al. 2017).",
}


def explain_runs(
    runs: tuple[Path, Path], photos: Manifest, *, method: Method | str = Method.GRADIENT
) -> Explain:
    """Return the function that makes the maps of a comparison's report.

    Args:
        runs: the run folders of A and B.
        photos: the photos that are compared.
        method: of the maps.

    Raises:
        InputError: when the method is unknown.
    """
    chosen = Method(method)

    def explain_comparison(comparison: Comparison) -> tuple[Mapping[str, SaliencyMaps], str]:
        return explain(runs, comparison, photos, method=chosen), NOTES[chosen]

    return explain_comparison


def explain(
    runs: tuple[Path, Path],
    comparison: Comparison,
    photos: Manifest,
    *,
    method: Method = Method.GRADIENT,
    shown: int = MAX_DISCREPANCIES,
) -> dict[str, SaliencyMaps]:
    """Make maps of the largest discrepancies, for the logit of the true species.

    Args:
        runs: the run folders of A and B.
        comparison: of their scores.
        photos: the photos that were compared; with boxes if the manifest has them.
        method: of the maps.
        shown: number of discrepancies in favour of each model.

    Returns:
        Maps by photo id; none for photos that cannot be read any more.

    Raises:
        InputError: when a folder is not a run, or a photo is not in the manifest.
    """
    wanted = list(chain(comparison.gains_of_b[:shown], comparison.gains_of_a[:shown]))
    rows = {photo: row for row, photo in enumerate(photos.table["photo_id"])}
    if missing := [x.photo_id for x in wanted if x.photo_id not in rows]:
        raise InputError(f"photo {missing[0]!r} was compared, but the manifest does not hold it")
    paths, boxes = photos.photos(), photos.boxes()
    found: list[dict[str, NDArray[np.float32]]] = []
    for folder in runs:
        trained = read_run(folder)
        model, maps = model_of(trained), {}
        for x in wanted:
            try:
                photo = read_photo(paths[rows[x.photo_id]])
            except PhotoError:
                continue
            pixels = torch.from_numpy(preprocess(photo, trained.recipe.preprocessing))[None]
            target = torch.tensor([trained.species.index(x.species)])
            maps[x.photo_id] = saliency(model, pixels, target, method=method)
        found.append(maps)
    return {
        photo: _maps(found[0][photo], found[1][photo], boxes[rows[photo]][None])
        for photo in found[0]
    }


def _maps(a: NDArray[np.float32], b: NDArray[np.float32], box: NDArray[np.float64]) -> SaliencyMaps:
    inside = [float(mass_inside(each, box)[0]) for each in (a, b)]
    return SaliencyMaps(
        maps=(a[0], b[0]),
        concentration=(float(concentration(a)[0]), float(concentration(b)[0])),
        inside=None if np.isnan(inside).any() else (inside[0], inside[1]),
    )
