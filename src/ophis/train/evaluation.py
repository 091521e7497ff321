"""Scores of a torch model: the same preprocessing and the same rows as everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ophis.batch import score_photos
from ophis.scores import concatenate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from ophis.images import Preprocessing
    from ophis.manifest import Manifest
    from ophis.scores import Scores
    from ophis.taxa import SpeciesList
    from ophis.train.processes import Processes


def score_model(
    model: nn.Module,
    manifest: Manifest,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    processes: Processes,
    workers: int | None = None,
) -> Scores:
    """Score every photo of a manifest in float32; each process takes its share of the rows.

    Returns:
        Scores, the same in every process: see `batch.score_photos`.
    """
    model.eval()

    @torch.inference_mode()
    def forward(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        batch = torch.from_numpy(pixels).to(processes.device, memory_format=torch.channels_last)
        return model(batch).float().cpu().numpy()

    share = score_photos(
        forward,
        manifest.take(np.arange(processes.rank, len(manifest), processes.count)),
        species=species,
        preprocessing=preprocessing,
        workers=workers,
    )
    everything = concatenate(processes.gather(share))
    place = {photo: row for row, photo in enumerate(manifest.table["photo_id"])}
    return everything.take(np.argsort([place[photo] for photo in everything.photo_ids]))
