"""Experiment of the paper: two recipes trained on the same photos and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.evaluation.run import RECIPE, read_scored_run
from ophis.files.folder_lock import locked_folder
from ophis.priors.country_counts import CountryPrior
from ophis.recipe import find_recipe, read_recipe
from ophis.train.checkpoint import has_checkpoint
from ophis.train.loop import fit
from ophis.train.photo_check import CHECKED
from ophis.train.processes import Processes
from ophis.train.run_folder import RunInputs
from ophis.train.training_state import TrainingState

if TYPE_CHECKING:
    from ophis.datasets.manifest import Manifest
    from ophis.recipe import Recipe
    from ophis.train.run_log import Progress

LETTERS = ("a", "b")
REPORT = "report.html"


def study(
    recipes: tuple[str | Path, str | Path],
    *,
    train: Manifest,
    validation: Manifest,
    out: str | Path,
    weights_folder: str | Path = ".",
    device: str = "auto",
    workers: int | None = None,
    compile: bool = False,  # noqa: A002 - torch's word
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train two recipes on the same photos and write the report of their comparison.

    Called again for the same folder it resumes: finished runs are not repeated, and a stopped one
    goes on from its checkpoint.

    Args:
        recipes: of model A and of model B: TOML files or names of shipped recipes.
        train: labelled photos to learn from.
        validation: labelled photos to evaluate on.
        out: folder for the run folders `a` and `b`, both manifests, `prior.csv`, `report.html` with
            its figures, and `report.json`.
        weights_folder: folder of the recipes' weights files.
        device: "auto", "cpu" or "cuda".
        workers: threads that read photos.
        compile: run the training steps through torch.compile; see `fit`.
        skip_bad: leave out photos that cannot be used, instead of refusing to begin; see `fit`.
        progress: receives steps and messages of both runs.

    Returns:
        The path of the report.

    Raises:
        InputError: before any training, when recipes, photos and folder do not fit together.
        Stopped: after Ctrl-C, SIGTERM or SIGHUP; the same call resumes.
    """
    out = Path(out)
    read = _read_recipes(recipes, out)
    processes = Processes.from_environment(device)
    for letter, recipe in zip(LETTERS, read, strict=True):
        inputs = RunInputs(recipe, train, validation, train.species_list(), Path(weights_folder))
        inputs.require_valid()
        if not has_checkpoint(out / letter):
            TrainingState.begin(inputs, processes, None)
    with locked_folder(out, writes=processes.leads) as locked:
        for letter, recipe in zip(LETTERS, read, strict=True):
            locked.require_in_place()
            fit(
                recipe,
                train=train,
                validation=validation,
                out=out / letter,
                weights_folder=weights_folder,
                device=device,
                workers=workers,
                compile=compile,
                skip_bad=skip_bad,
                checked=out / CHECKED,
                progress=progress,
            )
        locked.require_in_place()
        return _write_results(out, _model_names(recipes), train, validation)


def _write_results(
    out: Path, names: tuple[str, str], train: Manifest, validation: Manifest
) -> Path:
    """Write both manifests, the prior and the report; return the path of the report."""
    # Here: both need matplotlib, and `ophis train` does not.
    from ophis.evaluation.report.comparison_report import write_comparison  # noqa: PLC0415
    from ophis.train.explain import explain_runs  # noqa: PLC0415

    train.write(out / "train.csv")
    validation.write(out / "validation.csv")
    CountryPrior.fit(train).write(out / "prior.csv")
    folders = out / LETTERS[0], out / LETTERS[1]
    a, b = (read_scored_run(folder, name=name) for folder, name in zip(folders, names, strict=True))
    explain = explain_runs(folders, validation)
    write_comparison(a, b, out / REPORT, photos=validation, explain=explain)
    return out / REPORT


def _read_recipes(recipes: tuple[str | Path, str | Path], out: Path) -> list[Recipe]:
    """Read the recipes; refuse a folder that holds runs of others."""
    read = [read_recipe(recipe) for recipe in recipes]
    for letter, recipe in zip(LETTERS, read, strict=True):
        before = out / letter / RECIPE
        if before.is_file() and read_recipe(before) != recipe:
            raise InputError(
                f"{out / letter} holds a run of another recipe; take a new folder for this study"
            )
    return read


def _model_names(recipes: tuple[str | Path, str | Path]) -> tuple[str, str]:
    """Return the names of the two recipes, with letters where these are equal."""
    first, second = (find_recipe(recipe).stem for recipe in recipes)
    return (f"{first} A", f"{second} B") if first == second else (first, second)
