"""Scores of a torch model: the same preprocessing and the same rows as everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ophis.inference.scoring.batch import score_photos
from ophis.scores.scores import concatenate
from ophis.train.out_of_distribution import WithNovelty

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from ophis.datasets.manifest import Manifest
    from ophis.images.preprocessing import Preprocessing
    from ophis.inference.scoring.batch import Outputs
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList
    from ophis.train.out_of_distribution import Familiarity
    from ophis.train.processes import Processes


def score_model(
    model: nn.Module,
    manifest: Manifest,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    processes: Processes,
    workers: int | None = None,
    familiarity: Familiarity | None = None,
) -> Scores:
    """Score every photo of a manifest in float32; each process takes its share of the rows.

    With ``familiarity`` the scores hold each photo's novelty too.

    Returns:
        Scores, the same in every process: see `batch.score_photos`.
    """
    model.eval()
    whole = WithNovelty(model, familiarity.to(processes.device)) if familiarity else None

    @torch.inference_mode()
    def forward(pixels: NDArray[np.float32]) -> Outputs:
        batch = torch.from_numpy(pixels).to(processes.device, memory_format=torch.channels_last)
        if whole is None:
            return model(batch).float().cpu().numpy(), None
        logits, novelty = whole(batch)
        return logits.float().cpu().numpy(), novelty.cpu().numpy()

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
