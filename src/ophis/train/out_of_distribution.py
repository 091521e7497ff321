"""Out-of-distribution (OOD) score: Mahalanobis distance in the network's own features.

Features before the head, scaled to length one, are modelled as normal with one mean for each
species and one covariance for all. The OOD score is the least squared Mahalanobis distance to any
species (Lee et al. 2018; the scaling: Müller and Hein 2025). Its mean over training photos is 1.
The exported network has it as a second output.

A network that is trained to the end on few photos gives all of a species almost one feature. Their
variance is then no measure of other photos, and smaller than the rounding in which torch and ONNX
Runtime differ. So the training features are taken to scatter by `MIN_VARIANCE` at least.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ophis.datasets.training_photos import first_bytes, training_rows
from ophis.errors import InputError
from ophis.files.atomic import whole_file
from ophis.files.content import content_of
from ophis.files.npz import read_npz
from ophis.inference.batches import pixel_batches

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.train.processes import Processes
    from ophis.train.run_folder import RunInputs

FILE = "ood_model.npz"  # in a run folder
MAX_PHOTOS = 20_000  # training photos that the model is fitted on
RANK = 128  # directions with a variance of their own; all others have one in common
SHRINKAGE = 0.1  # towards equal variance in all directions
MIN_VARIANCE = 1e-4  # in all directions together: 0.6 degrees from the mean of the species


_ARRAYS = ("means", "directions", "weights", "other_weight")


class OodModel(nn.Module):
    """Model of the features of training photos, from which the OOD score is computed.

    Args:
        means: [species, features], of features of length one.
        directions: [rank, features], orthonormal.
        weights: [rank], of a squared difference along each direction.
        other_weight: of a squared difference in all other directions; not below ``weights``.
    """

    means: torch.Tensor
    directions: torch.Tensor
    weights: torch.Tensor
    other_weight: torch.Tensor
    centre: torch.Tensor

    def __init__(
        self,
        means: NDArray[np.floating],
        directions: NDArray[np.floating],
        weights: NDArray[np.floating],
        other_weight: NDArray[np.floating] | float,
    ) -> None:
        super().__init__()
        means = np.asarray(means, np.float32)
        # Those of species without photos are far from all features of length one.
        centre = means[np.linalg.norm(means, axis=1) < 2].mean(axis=0)
        values = (means, directions, weights, other_weight, centre)
        for name, value in zip((*_ARRAYS, "centre"), values, strict=True):
            self.register_buffer(name, torch.from_numpy(np.asarray(value, np.float32)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the OOD scores, [photos], of features [photos, features].

        The differences to all means are never written out: their squared lengths, which lose the
        digits of differences far from the centre, only choose the nearest species.
        """
        unit = functional.normalize(features.float(), dim=1) - self.centre
        means = self.means - self.centre
        scaled = self.directions * (self.other_weight - self.weights).clamp_min(0).sqrt()[:, None]
        everywhere = _squared_differences(unit, means) * self.other_weight
        along = _squared_differences(unit @ scaled.T, means @ scaled.T)
        nearest = (everywhere - along).argmin(dim=1)
        return self._distances(unit - means[nearest])

    def _distances(self, differences: torch.Tensor) -> torch.Tensor:
        """Return the weighted squared lengths, [photos], of differences [photos, features]."""
        along = differences @ self.directions.T
        other = differences - along @ self.directions
        return along.square() @ self.weights + other.square().sum(dim=1) * self.other_weight

    def write(self, path: Path) -> None:
        """Write an .npz without pickles, atomically."""
        arrays = {name: getattr(self, name).cpu().numpy() for name in _ARRAYS}
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def read(cls, path: Path) -> OodModel:
        """Read a file of `write`.

        Raises:
            InputError: naming the file when it is damaged or of another kind.
        """
        arrays = read_npz(path, what="OOD model file")
        if arrays.keys() != {*_ARRAYS}:
            raise InputError(f"{path}: not an OOD model file of ophis; train again")
        with content_of(path, "not an OOD model file of ophis", fix="train again"):
            return cls(**arrays)._checked()  # noqa: SLF001 - its own

    def _checked(self) -> OodModel:
        """Raise an error for arrays that do not fit together or are not finite."""
        species, width = self.means.shape
        shapes = [tuple(getattr(self, name).shape) for name in _ARRAYS]
        rank = len(self.weights)
        if shapes != [(species, width), (rank, width), (rank,), ()]:
            raise InputError(f"arrays of shapes {shapes} do not fit together")
        if not all(value.isfinite().all() for value in self.buffers()):
            raise InputError("a number is not finite")
        return self


class WithOodScore(nn.Module):
    """Network of timm that returns logits [photos, species] and OOD scores [photos]."""

    def __init__(self, model: nn.Module, ood_model: OodModel) -> None:
        super().__init__()
        self.model, self.ood_model = model, ood_model

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits and OOD scores of [photos, 3, side, side], float32."""
        whole = self.model.forward_features(pixels)  # ty: ignore[not-callable]
        logits = self.model.forward_head(whole)  # ty: ignore[not-callable]
        pooled = self.model.forward_head(whole, pre_logits=True)  # ty: ignore[not-callable]
        return logits, self.ood_model(pooled)


def _squared_differences(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the squared distances, [rows, others], without an array of all differences."""
    lengths = rows.square().sum(1, keepdim=True) + others.square().sum(1)
    return lengths - 2 * rows @ others.T


def fit_ood_model(
    model: nn.Module, inputs: RunInputs, processes: Processes, workers: int | None = None
) -> OodModel:
    """Fit the OOD model on at most 20,000 training photos, evenly over the species.

    Each process reads a part of them; the result does not depend on the number of processes.

    Raises:
        InputError: in all processes, when a photo is not one that the network learned from.
    """
    model.eval()
    train, species, preprocessing = inputs.train, inputs.species, inputs.recipe.preprocessing
    chosen = _choose(train.truth(species), len(species))[processes.rank :: processes.count]
    rows: list[int] = []
    features: list[NDArray[np.float32]] = []
    other: list[int] = []
    for batch in pixel_batches(train.take(chosen), preprocessing=preprocessing, workers=workers):
        if batch.rows:
            read = chosen[batch.rows]
            rows += read.tolist()
            if len(inputs.learned):
                known = training_rows(first_bytes(batch.sha256), inputs.learned)
                other += read[~known].tolist()
            features.append(_features(model, batch.pixels, processes.device))
    everything = processes.gather((rows, features, other))
    if changed := [row for *_, part in everything for row in part]:
        raise InputError(
            f"the files of {len(changed):,} training photos have changed since the network learned"
            f" from them, the first is {train.photos()[changed[0]]}; put the former files back"
        )
    order = np.array([row for part, *_ in everything for row in part])
    whole = np.concatenate([array for _, part, _ in everything for array in part])
    whole = whole[np.argsort(order)].astype(np.float64)
    truth = train.truth(species)[np.sort(order)]
    return ood_model_from_features(whole, truth, species=len(species))


@torch.inference_mode()
def _features(
    model: nn.Module, pixels: NDArray[np.float32], device: torch.device
) -> NDArray[np.float32]:
    batch = torch.from_numpy(pixels).to(device, memory_format=torch.channels_last)
    whole = model.forward_features(batch)  # ty: ignore[not-callable]
    pooled = model.forward_head(whole, pre_logits=True)  # ty: ignore[not-callable]
    return pooled.float().cpu().numpy()


def _choose(truth: NDArray[np.int64], species: int) -> NDArray[np.int64]:
    """Return sorted rows with an equal maximum of photos for each species, by a fixed seed."""
    most = -(-MAX_PHOTOS // species)
    order = np.random.default_rng(0).permutation(len(truth))
    kept = [order[truth[order] == column][:most] for column in range(species)]
    return np.sort(np.concatenate(kept))


def ood_model_from_features(
    features: NDArray[np.float64], truth: NDArray[np.int64], *, species: int
) -> OodModel:
    """Estimate the means of the species and their common covariance.

    Args:
        features: [photos, features].
        truth: [photos], column of the species.
        species: number of species; one without photos is never the nearest.
    """
    width = features.shape[1]
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    # Far from all features of length one, for species without photos.
    means = np.full((species, width), 10.0)
    for column in np.unique(truth):
        means[column] = unit[truth == column].mean(axis=0)
    variances, directions = _principal(unit - means[truth])
    total = variances.sum()
    noise = max(MIN_VARIANCE - total, 0) / width  # in each direction
    rank = min(RANK, len(variances) - 1)
    directions, kept = directions[:rank], variances[:rank]
    rest = (total - kept.sum()) / (width - rank)
    alike = total / width + noise
    weights, other_weight = (
        1 / ((1 - SHRINKAGE) * (variance + noise) + SHRINKAGE * alike) for variance in (kept, rest)
    )
    # Mean distance of a training photo to the mean of its species, with the noise.
    typical = weights @ (kept + noise) + other_weight * (rest + noise) * (width - rank)
    return OodModel(means, directions, weights / typical, other_weight / typical)


def _principal(residuals: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return variances in descending order, and their directions, [variances, width]."""
    photos, width = residuals.shape
    if photos < width:
        _, lengths, directions = np.linalg.svd(residuals, full_matrices=False)
        return lengths**2 / photos, directions
    variances, columns = np.linalg.eigh(residuals.T @ residuals / photos)
    return np.maximum(variances[::-1], 0), columns.T[::-1]
