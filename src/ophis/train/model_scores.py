"""Scores of a torch model on the photos of a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ophis.inference.batches import joined_batches, score_batches
from ophis.scores.scores import concatenate
from ophis.train.out_of_distribution import WithOodScore, fit_ood_model

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from ophis.datasets.manifest import Manifest
    from ophis.images.preprocessing import Preprocessing
    from ophis.inference.batches import Outputs
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList
    from ophis.train.out_of_distribution import OodModel
    from ophis.train.processes import Processes
    from ophis.train.run_folder import RunInputs


def score_model(
    model: nn.Module,
    manifest: Manifest,
    *,
    species: SpeciesList,
    preprocessing: Preprocessing,
    processes: Processes,
    workers: int | None = None,
) -> Scores:
    """Score every photo of a manifest in float32; each process takes a part of the rows.

    Args:
        model: gives logits [photos, species], or these and a ood_score [photos].
        manifest: of the photos.
        species: order of the logits.
        preprocessing: of the photos.
        processes: of the run.
        workers: threads that read photos.

    Returns:
        Scores, the same in every process: see `score_batches`.
    """
    model.eval()

    @torch.inference_mode()
    def forward(pixels: NDArray[np.float32]) -> Outputs:
        batch = torch.from_numpy(pixels).to(processes.device, memory_format=torch.channels_last)
        outputs = model(batch)
        if isinstance(outputs, tuple):
            logits, ood_score = outputs
            return logits.float().cpu().numpy(), ood_score.cpu().numpy()
        return outputs.float().cpu().numpy(), None

    batches = score_batches(
        forward,
        manifest.take(np.arange(processes.rank, len(manifest), processes.count)),
        species=species,
        preprocessing=preprocessing,
        workers=workers,
    )
    scores = concatenate(processes.gather(joined_batches(batches, species)))
    rows = {photo: row for row, photo in enumerate(manifest.table["photo_id"])}
    return scores.take(np.argsort([rows[photo] for photo in scores.photo_ids]))


def final_scores(
    model: nn.Module, inputs: RunInputs, processes: Processes, workers: int | None = None
) -> tuple[Scores, OodModel]:
    """Fit the out-of-distribution score on the training photos and score the validation photos."""
    species, preprocessing = inputs.species, inputs.recipe.preprocessing
    ood_model = fit_ood_model(model, inputs, processes, workers)
    scores = score_model(
        WithOodScore(model, ood_model.to(processes.device)),
        inputs.validation,
        species=species,
        preprocessing=preprocessing,
        processes=processes,
        workers=workers,
    )
    return scores, ood_model
