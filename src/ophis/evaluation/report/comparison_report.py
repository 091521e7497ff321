"""Comparison of two runs, written as an HTML report and a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.evaluation.comparison import compare
from ophis.evaluation.report.page import write_report
from ophis.files.atomic import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.occurrences.occurrences import Occurrences
    from ophis.evaluation.comparison import Comparison
    from ophis.evaluation.report.examples import SaliencyMaps
    from ophis.evaluation.run import ScoredRun

    # Maps by photo id, and a note on how they were made.
    Explain = Callable[[Comparison], tuple[Mapping[str, SaliencyMaps], str]]


def write_comparison(
    a: ScoredRun,
    b: ScoredRun,
    path: str | Path,
    *,
    photos: Manifest | None = None,
    explain: Explain | None = None,
    records: Occurrences | None = None,
) -> Comparison:
    """Compare two models and write the report.

    Args:
        a: model A.
        b: model B.
        path: the .html file; all figures are written beside it, to a .json of its name.
        photos: manifest of the photos, to show them.
        explain: returns saliency maps for the report, see `ophis.train.explain.explain_runs`.
        records: of species at places, to draw maps of species; see `write_report`.

    Returns:
        The comparison.

    Raises:
        InputError: when the path does not end in .html or the models cannot be compared.
    """
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
    maps, note = explain(comparison) if explain else ({}, "")
    write_report(
        comparison,
        path,
        runs=(a, b),
        photos=photos,
        maps=maps,
        maps_note=note,
        records=records,
    )
    with whole_file(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(comparison.as_dict(), indent=1), encoding="utf-8")
    return comparison
