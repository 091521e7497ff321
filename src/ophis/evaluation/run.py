"""Run folder with its scores, or a scores file: one model of a comparison.

Reads the files that training writes, without torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ophis.errors import InputError
from ophis.files.content import content_of, read_json
from ophis.priors.country_counts import read_counts
from ophis.recipe import read_recipe
from ophis.scores.scores import read_scores

if TYPE_CHECKING:
    from ophis.priors.country_counts import CountryPrior
    from ophis.recipe import Recipe
    from ophis.scores.scores import Scores

# Files of a run folder.
RECIPE, SPECIES, PRIOR, SCORES, FACTS, LOG = (
    "recipe.toml",
    "species.csv",
    "prior.csv",
    "scores.npz",
    "run.json",
    "log.jsonl",
)


@dataclass(frozen=True)
class ScoredRun:
    """Scores of a model, with the files of its run folder if there is one.

    Attributes:
        name: of the model.
        scores: of the evaluated photos.
        folder: of the run; None for a scores file, which has none of the following.
        prior: training photos by country and species.
        recipe: of the run.
        log: one row for each step: `step, loss, learning_rate, ..., validation_top1, ...`.
        facts: digests, versions, hardware.
    """

    name: str
    scores: Scores
    folder: Path | None = None
    prior: CountryPrior | None = None
    recipe: Recipe | None = None
    log: pl.DataFrame | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def read_scored_run(path: str | Path, *, name: str | None = None) -> ScoredRun:
    """Read a scores file, or a run folder with its files.

    Raises:
        InputError: naming the file that is missing or invalid.
    """
    path = Path(path)
    if not path.is_dir():
        return ScoredRun(name or _stem(path), read_scores(path))
    if not (path / SCORES).is_file():
        raise InputError(
            f"{path}: no {SCORES} in it; use a run folder that `ophis train` has finished"
        )
    scores = read_scores(path / SCORES)
    return ScoredRun(
        name or path.name,
        scores,
        folder=path,
        prior=read_counts(path / PRIOR, scores.species) if (path / PRIOR).is_file() else None,
        recipe=read_recipe(path / RECIPE) if (path / RECIPE).is_file() else None,
        log=_read_log(path / LOG),
        facts=read_facts(path),
    )


def distinct_names(*paths: Path) -> tuple[str, ...]:
    """Return names of models: the shortest ends of their paths that differ.

    >>> distinct_names(Path("runs/a/scores.npz"), Path("runs/b/scores.npz"))
    ('a', 'b')
    >>> distinct_names(Path("runs/old"), Path("new.npz"))
    ('old', 'new')
    """
    # The usual name of a scores file is the same for all runs.
    parts = [
        [*path.absolute().parts[:-1], *([] if path.name == SCORES else [_stem(path)])]
        for path in paths
    ]
    for length in range(1, max(map(len, parts)) + 1):
        names = tuple("/".join(part[-length:]) for part in parts)
        if len(set(names)) == len(names):
            return names
    return tuple(chr(ord("A") + number) for number in range(len(paths)))  # equal paths


def _stem(path: Path) -> str:
    return path.stem if path.suffix == ".npz" else path.name


def read_facts(folder: Path) -> dict[str, Any]:
    """Read the facts of a run; empty without the file."""
    path = folder / FACTS
    if not path.is_file():
        return {}
    with content_of(path, "not the facts of a run"):
        return dict(read_json(path, "facts of a run"))


def _read_log(path: Path) -> pl.DataFrame | None:
    """Read the log of a run. Of a step that was repeated after a stop, the later row is kept."""
    if not path.is_file() or not path.stat().st_size:
        return None
    columns = ("step", "loss", "learning_rate", "validation_top1")
    with content_of(path, "not the log of a run"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        cells = [{name: row.get(name) for name in columns} for row in rows]
        table = pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.Float64))
        table = table.with_columns(
            pl.col("step").cast(pl.Int64), evaluated=pl.col("validation_top1").is_not_null()
        )
    return table.unique(["step", "evaluated"], keep="last", maintain_order=True).drop("evaluated")
