"""Run folders: their inputs, their description, and reading them back."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ophis.datasets.training_photos import (
    changed_photos,
    first_bytes,
    read_training_photos,
    union,
    write_training_photos,
)
from ophis.errors import InputError
from ophis.evaluation.run import FACTS, PRIOR, RECIPE, SPECIES, read_facts
from ophis.files.atomic import whole_file
from ophis.priors.country_counts import CountryPrior
from ophis.recipe import read_recipe
from ophis.scores.scores import read_scores
from ophis.taxonomy.species_list import SpeciesList
from ophis.train.checkpoint import find_checkpoint, has_checkpoint, load_checkpoint, restore
from ophis.train.networks.model import create_model
from ophis.train.networks.weights import NAMED_WEIGHTS

if TYPE_CHECKING:
    from torch import nn

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.training_photos import Digests
    from ophis.recipe import Recipe
    from ophis.scores.scores import Scores
    from ophis.train.checkpoint import Checkpoint
    from ophis.train.processes import Processes


@dataclass(frozen=True)
class Run:
    """A run folder read back.

    Attributes:
        folder: its path.
        recipe: of the run.
        species: order of the logits.
        checkpoint: the newest valid one.
    """

    folder: Path
    recipe: Recipe
    species: SpeciesList
    checkpoint: Checkpoint


def read_run(folder: str | Path) -> Run:
    """Read a run folder.

    Raises:
        InputError: when it is not a run folder, or holds no checkpoint yet.
    """
    folder = Path(folder)
    if not (folder / RECIPE).is_file():
        raise InputError(
            f"{folder} is not a run folder: {RECIPE} is missing; make one: ophis train"
        )
    checkpoint = load_checkpoint(folder)
    if checkpoint is None:
        raise InputError(f"{folder} holds no checkpoint yet; let ophis train go on")
    species = SpeciesList.read(folder / SPECIES)
    recipe = read_recipe(folder / RECIPE)
    if checkpoint.step > recipe.steps:
        raise InputError(
            f"{folder}: its checkpoint is of step {checkpoint.step:,} of {recipe.steps:,}; copy the"
            " run folder again"
        )
    return Run(folder, recipe, species, checkpoint)


def model_of(trained: Run) -> nn.Module:
    """Return the network with the weights of the run's checkpoint, in eval mode."""
    recipe = trained.recipe
    model = create_model(
        recipe.backbone,
        species=len(trained.species),
        weights="none",
        head=recipe.head,
        sides=recipe.sides,
    )
    restore(trained.checkpoint, model)
    return model.eval()


@dataclass(frozen=True)
class RunInputs:
    """All that a run is made from.

    Attributes:
        recipe: all that changes the weights.
        train: labelled photos to learn from.
        validation: labelled photos to evaluate on.
        species: the classes in order.
        weights_folder: folder of the recipe's weights file.
        digests: of the training photos, row by row; None before they are checked.
        learned: digests of all photos that the network learns from or has learned from.
    """

    recipe: Recipe
    train: Manifest
    validation: Manifest
    species: SpeciesList
    weights_folder: Path = Path()
    digests: Digests | None = None
    learned: Digests = field(default_factory=union)

    def learned_before(self, out: Path) -> Digests:
        """Return digests of photos that the network has learned from before it begins or resumes.

        They are those of the run or bundle that the recipe's weights are from, and those that the
        run in ``out`` has learned from so far.
        """
        folders = [out] if has_checkpoint(out) else []
        if self.recipe.weights not in NAMED_WEIGHTS:
            path = self.weights_folder / self.recipe.weights
            folders.append(path if path.is_dir() else path.parent)
        lists = [read_training_photos(folder) for folder in folders]
        return union(found for found in lists if found is not None)

    def require_valid(self) -> None:
        """Refuse inputs that cannot become a run.

        Raises:
            InputError: naming a photo without a species, a species without a photo, a validation
                species unknown in training, a photo in both manifests, or an unfinished pack.
        """
        train, validation, recipe = self.train, self.validation, self.recipe
        truth = train.truth(self.species)
        if (truth < 0).any():
            photo = train.table["photo"][int((truth < 0).argmax())]
            raise InputError(f"training photo {photo!r} has no species; label it or take it out")
        if len(self.species) < 2:
            raise InputError(f"training needs two species or more, not {len(self.species)}")
        if empty := sorted(set(self.species) - set(train.table["species"])):
            raise InputError(f"species {empty[0]!r} has no training photo; add some or take it out")
        if not len(validation) or (validation.truth(self.species) < 0).all():
            raise InputError("no validation photo has a species to compare with; label some")
        if both := sorted(set(train.photos()) & set(validation.photos())):
            raise InputError(f"{both[0]} is in training and validation; a photo serves only one")
        if recipe.micro_batch_photos > recipe.batch_photos:
            raise InputError("micro_batch_photos exceeds batch_photos")
        for manifest in (train, validation):
            if manifest.pack and not manifest.pack.complete:
                raise InputError(
                    f"{manifest.folder}: {len(manifest.pack.index):,} of"
                    f" {manifest.pack.metadata.photos:,} photos are packed so far; run ophis pack"
                    " again"
                )


def require_same_photos(folder: Path, inputs: RunInputs, before: Digests) -> str | None:
    """Compare the photos of a run that resumes with those that it began with.

    Args:
        folder: of the run.
        inputs: of the call.
        before: digests of the photos that the network has learned from; empty without the list.

    Returns:
        A line when the validation table is another one, else None.

    Raises:
        InputError: when files of training photos have another content.
    """
    changed = len(np.setdiff1d(inputs.learned, before))
    if changed and len(before):
        raise InputError(
            f"{folder}: the files of {changed:,} training photos have changed since the run began;"
            " put the former files back, or choose another run folder"
        )
    validation = read_facts(folder).get("validation", {}).get("sha256")
    if validation in (None, inputs.validation.sha256()):
        return None
    return "the validation table is another one than before; figures of earlier steps are of that"


def changed_since(file: Path, scores: Scores) -> str | None:
    """Return a line when photos of the last scores in ``file`` have another content in these."""
    try:
        last = read_scores(file)
        now = dict(zip(scores.photo_ids, first_bytes(scores.sha256).tolist(), strict=True))
    except InputError:  # the first scores, or a damaged file that these replace; or none are read
        return None
    changed = changed_photos(last.photo_ids, last.sha256, now)
    if not changed:
        return None
    return (
        f"the files of {len(changed):,} validation photos have changed since the last evaluation,"
        f" the first is {changed[0]!r}; figures of earlier steps are of the former files"
    )


def describe(
    folder: Path,
    inputs: RunInputs,
    processes: Processes,
    precision: torch.dtype | None,
    *,
    compiled: bool = False,
) -> None:
    """Write recipe, species, prior, training photos and facts of a run into its folder."""
    recipe, species = inputs.recipe, inputs.species
    weights_sha256 = _weights_sha256(recipe.weights, inputs.weights_folder, folder)
    with whole_file(folder / RECIPE) as temporary:
        temporary.write_text(recipe.to_toml(), encoding="utf-8")
    species.write(folder / SPECIES)
    CountryPrior.fit(inputs.train, species=species).write(folder / PRIOR)
    write_training_photos(folder, inputs.learned)
    facts: dict[str, Any] = {
        "recipe_sha256": recipe.sha256(),
        **({"weights_sha256": weights_sha256} if weights_sha256 else {}),
        "train": _facts_of(inputs.train),
        "validation": _facts_of(inputs.validation),
        "species": len(species),
        "precision": str(precision or torch.float32).removeprefix("torch."),
        "compiled": compiled,
        "device": str(processes.device),
        "processes": processes.count,
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {
            name: metadata.version(name) for name in ("ophis", "torch", "timm", "numpy", "pillow")
        },
    }
    if processes.device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(processes.device)
    with whole_file(folder / FACTS) as temporary:
        temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _facts_of(manifest: Manifest) -> dict[str, Any]:
    """Return number and digest of the photos, and the options of their pack."""
    facts: dict[str, Any] = {"photos": len(manifest), "sha256": manifest.sha256()}
    return facts | ({"pack": asdict(manifest.pack.metadata)} if manifest.pack else {})


def _weights_sha256(weights: str, weights_folder: Path, folder: Path) -> str | None:
    """Return the digest of the recipe's weights; from run.json if a resumed run lost the file."""
    path = weights_folder / weights
    if path.is_dir() and (found := find_checkpoint(path)):
        path = found.path
    if weights in NAMED_WEIGHTS or not path.is_file():
        return read_facts(folder).get("weights_sha256")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
