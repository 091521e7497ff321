"""A run folder: what fit() needs to begin, and all that stands there to repeat the run."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ophis.errors import InputError
from ophis.evaluation.run import FACTS, PRIOR, RECIPE, SPECIES, read_facts
from ophis.files.atomic import whole_file
from ophis.priors.country_counts import CountryPrior
from ophis.recipe import read_recipe
from ophis.taxonomy.species_list import SpeciesList
from ophis.train.checkpoint import find_checkpoint, load_checkpoint
from ophis.train.networks.model import create_model
from ophis.train.networks.weights import NAMED_WEIGHTS

if TYPE_CHECKING:
    from torch import nn

    from ophis.datasets.manifest import Manifest
    from ophis.recipe import Recipe
    from ophis.train.checkpoint import Checkpoint
    from ophis.train.processes import Processes


@dataclass(frozen=True)
class Run:
    """A run folder read back, for export and study."""

    folder: Path
    recipe: Recipe
    species: SpeciesList
    checkpoint: Checkpoint


def read_run(folder: str | Path) -> Run:
    """Read a run folder.

    Raises:
        InputError: when it is none, or its run has saved nothing yet.
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
    return Run(folder, read_recipe(folder / RECIPE), species, checkpoint)


def model_of(trained: Run) -> nn.Module:
    """The network of a run as its checkpoint has it, in eval mode."""
    recipe = trained.recipe
    model = create_model(
        recipe.backbone, species=len(trained.species), weights="none", head=recipe.head
    )
    model.load_state_dict(trained.checkpoint.model)
    return model.eval()


def require_fit(
    recipe: Recipe, train: Manifest, validation: Manifest, species: SpeciesList
) -> None:
    """Refuse, before anything is written, what cannot become a run.

    Raises:
        InputError: naming an unlabelled photo, an empty species, a species of the validation
            that training does not know, a photo that stands on both sides, or a pack that is not
            finished.
    """
    truth = train.truth(species)
    if (truth < 0).any():
        photo = train.table["photo"][int((truth < 0).argmax())]
        raise InputError(f"training photo {photo} has no species; label it or take it out")
    if len(species) < 2:
        raise InputError(f"training needs two species or more, not {len(species)}")
    if empty := sorted(set(species) - set(train.table["species"])):
        raise InputError(f"species {empty[0]!r} has no training photo; add some or take it out")
    if not len(validation) or (validation.truth(species) < 0).all():
        raise InputError("no validation photo has a species, so none can be judged; label some")
    if both := sorted(set(train.photos()) & set(validation.photos())):
        raise InputError(f"{both[0]} is in training and validation; a photo serves only one")
    if recipe.micro_batch_photos > recipe.batch_photos:
        raise InputError("micro_batch_photos exceeds batch_photos")
    for manifest in (train, validation):
        if manifest.pack and not manifest.pack.complete:
            raise InputError(
                f"{manifest.folder}: {len(manifest.pack.index):,} of"
                f" {manifest.pack.metadata.photos:,} photos are packed so far; run ophis pack again"
            )


def describe(
    folder: Path,
    recipe: Recipe,
    species: SpeciesList,
    train: Manifest,
    validation: Manifest,
    processes: Processes,
    precision: torch.dtype | None,
    weights_folder: Path,
) -> None:
    """Write into the folder what the run is made of."""
    weights_sha256 = _weights_sha256(recipe.weights, weights_folder, folder)
    with whole_file(folder / RECIPE) as temporary:
        temporary.write_text(recipe.to_toml(), encoding="utf-8")
    species.write(folder / SPECIES)
    CountryPrior.fit(train, species=species).write(folder / PRIOR)
    facts: dict[str, Any] = {
        "recipe_sha256": recipe.sha256(),
        **({"weights_sha256": weights_sha256} if weights_sha256 else {}),
        "train": _facts_of(train),
        "validation": _facts_of(validation),
        "species": len(species),
        "precision": str(precision or torch.float32).removeprefix("torch."),
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
    """Which photos, and what was done to them before, where they come from a pack."""
    facts: dict[str, Any] = {"photos": len(manifest), "sha256": manifest.sha256()}
    return facts | ({"pack": asdict(manifest.pack.metadata)} if manifest.pack else {})


def _weights_sha256(weights: str, weights_folder: Path, folder: Path) -> str | None:
    """Digest of the recipe's weights file; a run that goes on may have lost it, not its digest."""
    path = weights_folder / weights
    if path.is_dir() and (found := find_checkpoint(path)):
        path = found.path
    if weights in NAMED_WEIGHTS or not path.is_file():
        return read_facts(folder).get("weights_sha256")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
