"""One side of a comparison: scores, and what is known of how they came about. No torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ophis.errors import InputError
from ophis.priors.country_counts import read_counts
from ophis.recipe import read_recipe
from ophis.scores.scores import read_scores

if TYPE_CHECKING:
    from ophis.priors.country_counts import CountryPrior
    from ophis.recipe import Recipe
    from ophis.scores.scores import Scores

# The files of a run folder.
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
    """A model to compare.

    Attributes:
        name: what to call it.
        scores: of the photos to compare on.
        folder: of the run, where there is one; then all else can be there too.
        prior: training photos by country and species.
        recipe: of the run.
        log: a row a step: `step, loss, learning_rate, ..., validation_top1, ...`.
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
    """Read a scores file, or a run folder with all that stands in it.

    Raises:
        InputError: naming the file that is missing or is something else.
    """
    path = Path(path)
    if not path.is_dir():
        return ScoredRun(name or _stem(path), read_scores(path))
    if not (path / SCORES).is_file():
        raise InputError(
            f"{path}: no {SCORES} in it; is it a run folder that ophis train finished?"
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
    """What to call models: the shortest ends of their paths that differ.

    >>> distinct_names(Path("runs/a/scores.npz"), Path("runs/b/scores.npz"))
    ('a', 'b')
    >>> distinct_names(Path("runs/old"), Path("new.npz"))
    ('old', 'new')
    """
    # The last part says nothing where it is the file's usual name.
    parts = [
        [*path.absolute().parts[:-1], *([] if path.name == SCORES else [_stem(path)])]
        for path in paths
    ]
    for length in range(1, max(map(len, parts)) + 1):
        names = tuple("/".join(part[-length:]) for part in parts)
        if len(set(names)) == len(names):
            return names
    return tuple(chr(ord("A") + place) for place in range(len(paths)))  # the same twice


def _stem(path: Path) -> str:
    return path.stem if path.suffix == ".npz" else path.name


def read_facts(folder: Path) -> dict[str, Any]:
    """What a run noted of itself; empty when it is gone."""
    path = folder / FACTS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _read_log(path: Path) -> pl.DataFrame | None:
    """The log of a run; of a step that was done twice, after a stop, the later row."""
    if not path.is_file() or not path.stat().st_size:
        return None
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        table = pl.from_dicts(rows, infer_schema_length=None)
    except (ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: not the log of a run: {error}") from None
    columns = ("step", "loss", "learning_rate", "validation_top1")
    empty = [pl.lit(None, pl.Float64).alias(c) for c in columns if c not in table.columns]
    table = table.with_columns(empty).with_columns(judged=pl.col("validation_top1").is_not_null())
    return table.unique(["step", "judged"], keep="last", maintain_order=True).drop("judged")
