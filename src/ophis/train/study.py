"""The paper's experiment in one go: two recipes on the same photos, judged, compared, explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.evaluation.comparison import compare
from ophis.evaluation.run import RECIPE, read_scored_run
from ophis.files.atomic import whole_file
from ophis.priors.country_counts import CountryPrior
from ophis.recipe import find_recipe, read_recipe
from ophis.train.loop import fit
from ophis.train.photo_check import CHECKED

if TYPE_CHECKING:
    from ophis.datasets.manifest import Manifest
    from ophis.evaluation.comparison import Comparison
    from ophis.evaluation.run import ScoredRun
    from ophis.train.progress import Progress

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

    Called again for the same folder it goes on where it stopped: a run that is done is not
    repeated, one that was cut off goes on from its checkpoint.

    Args:
        recipes: of model A and of model B: TOML files or names of shipped recipes.
        train: labelled photos to learn from.
        validation: labelled photos to judge by.
        out: the folder with everything: `a/`, `b/` (run folders), both manifests, `prior.csv`,
            `report.html` with its figures and `report.json`.
        weights_folder: where the recipes' weights files lie.
        device: "auto", "cpu", "cuda".
        workers: threads that read photos.
        compile: run the training steps through torch.compile; see `fit`.
        skip_bad: leave out the photos that cannot be used, instead of refusing to begin: see `fit`.
        progress: receives steps and messages of both runs.

    Returns:
        The report.

    Raises:
        InputError: when recipes, photos and folder do not fit together; nothing is trained then.
        Stopped: after Ctrl-C or SIGTERM; the same call goes on.
    """
    out = Path(out)
    read = [read_recipe(recipe) for recipe in recipes]
    for letter, recipe in zip(LETTERS, read, strict=True):
        before = out / letter / RECIPE
        if before.is_file() and read_recipe(before) != recipe:
            raise InputError(
                f"{out / letter} holds a run of another recipe; take a new folder for this study"
            )
    out.mkdir(parents=True, exist_ok=True)
    train.write(out / "train.csv")
    validation.write(out / "validation.csv")
    CountryPrior.fit(train).write(out / "prior.csv")
    for letter, recipe in zip(LETTERS, read, strict=True):
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
    a, b = (
        read_scored_run(out / letter, name=name)
        for letter, name in zip(LETTERS, _names(recipes), strict=True)
    )
    write_comparison(a, b, out / REPORT, photos=validation)
    return out / REPORT


def _names(recipes: tuple[str | Path, str | Path]) -> tuple[str, str]:
    """What the report calls the two: their recipes' names, with letters where these are equal."""
    first, second = (find_recipe(recipe).stem for recipe in recipes)
    return (f"{first} A", f"{second} B") if first == second else (first, second)


def write_comparison(
    a: ScoredRun,
    b: ScoredRun,
    path: str | Path,
    *,
    photos: Manifest | None = None,
    method: str = "gradient",
) -> Comparison:
    """Compare two sides and write the report; behind `ophis compare`.

    Args:
        a: model A: scores, or a run.
        b: model B.
        path: the .html file; `<stem>.json` with all figures is written beside it.
        photos: the manifest of the photos, to show them; with two runs, where each model looks.
        method: of the maps, see `train.saliency.Method`.

    Returns:
        The comparison.
    """
    from ophis.evaluation.report.page import write_report  # noqa: PLC0415 - matplotlib, for the report alone

    path = Path(path)
    if path.suffix != ".html":
        raise InputError(f"{path}: a report is an HTML file; let its name end in .html")
    prior = a.prior or b.prior
    comparison = compare(
        a.scores,
        b.scores,
        names=(a.name, b.name),
        training_photos=prior.species_photos() if prior else None,
    )
    maps, note = {}, ""
    if photos is not None and a.folder and b.folder:
        from ophis.train.explain.discrepancies import NOTES, explain  # noqa: PLC0415 - torch, for the maps alone
        from ophis.train.explain.saliency import Method  # noqa: PLC0415

        maps = explain((a.folder, b.folder), comparison, photos, method=Method(method))
        note = NOTES[Method(method)]
    write_report(comparison, path, runs=(a, b), photos=photos, maps=maps, maps_note=note)
    with whole_file(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(comparison.as_dict(), indent=1), encoding="utf-8")
    return comparison
