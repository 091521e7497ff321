"""Tables on the terminal."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ophis.cli.terminal.streams import print_json
from ophis.errors import printable
from ophis.evaluation.counts import macro_f1_note
from ophis.geography.countries import same_country

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ophis.challenges.submission_check import SubmissionCheck
    from ophis.datasets.manifest import Manifest
    from ophis.datasets.renaming import Renaming
    from ophis.evaluation.comparison import Comparison
    from ophis.evaluation.intervals import Interval
    from ophis.evaluation.metrics import Evaluation
    from ophis.evaluation.table import EvaluationTable
    from ophis.inference.bundles.card_sections import MemberResult
    from ophis.priors.selection import PriorChoice
    from ophis.web.export import WebFile

MAX_PROBLEMS = 20
LABELS = {  # of metrics whose label is not their name
    "log_loss": "log loss",
    "brier_score": "Brier",
    "ece": "ECE",
    "ece_floor": "ECE floor",
    "rms_calibration_error": "debiased RMS error",
    "classwise_ece": "classwise ECE",
    "ood_rejected": "OOD rejected",
    "auroc": "AUROC",
    "auroc_low": "AUROC low",
    "auroc_high": "AUROC high",
}
UNBROKEN = 10_000  # columns: wider than any line or table


def console() -> Console:
    """Return a console on stdout. In a file or pipe no line is broken and no cell truncated."""
    return Console(width=None if sys.stdout.isatty() else UNBROKEN, highlight=False)


def print_table(table: Table) -> None:
    """Print a table; on a narrow terminal with the cells of each row below each other."""
    out = console()
    wanted = out.measure(table, options=out.options.update(max_width=UNBROKEN)).maximum
    if wanted <= out.width:
        out.print(table)
        return
    for number, cells in enumerate(zip(*(column.cells for column in table.columns), strict=True)):
        row = Table(box=None, pad_edge=False, show_header=False)
        row.add_column()
        row.add_column(overflow="fold")
        for column, cell in zip(table.columns, cells, strict=True):
            row.add_row(column.header, cell)
        if number:
            out.print()
        out.print(row)


def print_counts(manifest: Manifest) -> None:
    """Print the numbers of photos, species and countries, and the rarest and commonest species."""
    counted, out = counts_of(manifest), console()
    species = counted["species"]
    out.print(
        f"{len(manifest):,} photos, {len(species):,} species, {counted['countries']:,} countries"
    )
    for names in counted["one_country"]:
        out.print(one_country(names), markup=False)
    if nameless := counted["without_species"]:
        out.print(f"photos without a species: {nameless:,}")
    if species:
        (fewest, few), *_, (most, many) = [*species.items()] * 2
        out.print(f"fewest: {few:,} of {fewest}; most: {many:,} of {most}", markup=False)


def counts_of(manifest: Manifest) -> dict[str, Any]:
    """Table of `print_counts`: photos by species, the fewest first."""
    import polars as pl

    counts = manifest.counts()
    species = counts.group_by("species").agg(photos=pl.col("photos").sum())
    return {
        "photos": len(manifest),
        "species": dict(species.sort("photos").rows()),
        "countries": counts["country"].n_unique(),
        "without_species": manifest.table["species"].null_count(),
        "one_country": same_country(manifest.table["country"].unique().sort()),
    }


def one_country(names: tuple[str, ...]) -> str:
    """A line for names of one country."""
    return f"one country, counted together: {', '.join(names)}"


def print_renaming(renaming: Renaming, *, merge: bool) -> None:
    """A line for each name that changes, and for each set of names that are, or would be, one."""
    for name, new in renaming.changes.items():
        print(f"renamed: {name!r} is now {new!r} ({_photos(renaming.photos[name])})")
    for new, names in renaming.merges.items():
        found = " and ".join(f"{name!r} ({_photos(renaming.photos[name])})" for name in names)
        if merge:
            print(f"merged: {found} are now {new!r}")
        else:
            print(f"kept apart: {found} would be {new!r}; --merge-names makes them one")


def _photos(number: int) -> str:
    return f"{number:,} photo{'s' * (number != 1)}"


def print_evaluation_table(evaluated: EvaluationTable, *, json: bool = False) -> None:
    """Print the results of `evaluate_files`, and the paths of its figures."""
    if json:
        print_json({"evaluations": evaluated.rows(), "figures": evaluated.figures})
        return
    print_evaluations(evaluated.evaluations, evaluated.more, evaluated.intervals)
    for picture in evaluated.figures:
        print(picture)


def print_evaluations(
    evaluations: Mapping[tuple[str, bool], Evaluation],
    more: Mapping[tuple[str, bool], Mapping[str, float]] | None = None,
    intervals: Mapping[tuple[str, bool], Mapping[str, Interval]] | None = None,
) -> None:
    """Print the paper's table: a row for each scores file, and one with the country.

    Below it a warning, if more than half of the species have fewer than 5 photos.

    Args:
        evaluations: by name and use of the country.
        more: further metrics of the same rows, a column each.
        intervals: intervals of the same rows, in brackets after the figure.
    """
    more, intervals = more or {}, intervals or {}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model")
    table.add_column("country")
    for heading in ("photos", "top-1", "top-5", "macro F1"):
        table.add_column(heading, justify="right")
    for metric in next(iter(more.values()), {}):
        table.add_column(LABELS.get(metric, metric), justify="right")
    for (name, country), e in evaluations.items():
        figures = {"top1": e.top1, "top5": e.top5, "macro_f1": e.macro_f1}
        found = intervals.get((name, country), {})
        cells = [
            _with_interval(metric, value, found.get(metric))
            for metric, value in (figures | dict(more.get((name, country), {}))).items()
        ]
        table.add_row(
            Text(printable(name)), "with" if country else "without", f"{e.photos:,}", *cells
        )
    print_table(table)
    few, species = max((e.few_photos, e.species_with_photos) for e in evaluations.values())
    if 2 * few > species:
        console().print(macro_f1_note(few, species), markup=False)


def _with_interval(metric: str, value: float, interval: Interval | None) -> str:
    """Format a figure by its metric, with its interval in brackets if there is one."""
    last = metric.rpartition("-")[2]
    style = {"top1": ".2%", "top5": ".2%", "track1": ",.2f", "track2": ",.0f"}.get(last, ",.4f")
    if interval is None:
        return format(value, style)
    low, high = (format(bound, style).removesuffix("%") for bound in (interval.low, interval.high))
    return f"{value:{style}} ({low} to {high})"


def print_choice(choice: PriorChoice) -> None:
    """Print the cross-validated log loss of each prior, and its gain over the image alone."""
    if not choice.losses:
        print(
            f"{choice.photos:,} photos of a known species are too few: the default of Bayes' rule"
        )
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"cross-validated on {choice.photos:,} photos")
    for heading in ("log loss", "gain over the image", "standard error"):
        table.add_column(heading, justify="right")
    for name, loss in sorted(choice.losses.items(), key=lambda item: item[1]):
        gain, error = choice.gains.get(name, (0.0, 0.0))
        cells = [f"{loss:.4f}", *([f"{gain:.4f}", f"{error:.4f}"] if name in choice.gains else [])]
        table.add_row(name, *(cells if loss < float("inf") else ["excludes the truth of some"]))
    print_table(table)


def member_rows(results: Sequence[MemberResult]) -> list[dict[str, Any]]:
    """The rows of `print_member_results` for programs."""
    return [
        {"bundle": w.name, "milliseconds": w.milliseconds, **w.evaluation.as_dict()}
        for w in results
    ]


def print_member_results(results: Sequence[MemberResult]) -> None:
    """Results and cost of each form of inference, one a row, on the same validation photos."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("bundle")
    for heading in ("photos", "top-1", "top-5", "macro F1", "ms a photo"):
        table.add_column(heading, justify="right")
    for w in results:
        e = w.evaluation
        table.add_row(
            Text(printable(w.name)),
            f"{e.photos:,}",
            *(f"{fraction:.2%}" for fraction in (e.top1, e.top5)),
            f"{e.macro_f1:.4f}",
            f"{w.milliseconds:.0f}",
        )
    print_table(table)


def print_facts(facts: Mapping[str, Mapping[str, object]], *, json: bool = False) -> None:
    """Print facts by heading and name; None stands for a missing part."""
    if json:
        print_json(facts)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for heading, named in facts.items():
        table.add_row(Text(heading, "bold"), "")
        for name, fact in named.items():
            shown = Text("not there", "dim") if fact is None else Text(printable(str(fact)))
            table.add_row(Text(f"  {name}"), shown)
    print_table(table)


def print_comparison(comparison: Comparison, *, json: bool = False) -> None:
    """Print the paper's table of both models with intervals, and their disagreement."""
    if json:
        print_json(comparison.as_dict())
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model")
    for metric in comparison.metrics:
        table.add_column(metric.name, justify="right")
        table.add_column("95 % interval", style="dim")
    rows = ((comparison.names[0], "a"), (comparison.names[1], "b"), ("difference", "difference"))
    for name, kind in rows:
        sign = "+" if kind == "difference" else ""
        cells = []
        for metric in comparison.metrics:
            value = getattr(metric, kind)
            cells.append(f"{100 * value.value:{sign}.2f}")
            cells.append(f"{100 * value.low:{sign}.2f} to {100 * value.high:{sign}.2f}")
        table.add_row(Text(printable(name)), *cells)
    print_table(table)
    counts, (a, b) = comparison.disagreement, comparison.names
    species = len(comparison.per_species)
    for line in (
        f"of {counts.photos:,} photos both are right on {counts.both:,}, only {b} on"
        f" {counts.only_b:,}, only {a} on {counts.only_a:,}, neither on {counts.neither:,}; equal"
        f" accuracy: p = {counts.p_value:.2g} (sign-flip test, {counts.observations:,} observations"
        " differ)",
        f"macro F1 is the mean over the {species:,} species with photos, the same for both."
        f" {macro_f1_note(comparison.few_photos, species)}".rstrip(),
    ):
        console().print(line, markup=False)


def print_checked(checked: SubmissionCheck, *, json: bool = False) -> None:
    """Print the numbers of rows and errors, and the first errors on stderr; all errors in JSON."""
    if json:
        print_json(asdict(checked))
        return
    for problem in checked.problems[:MAX_PROBLEMS]:
        print(f"ophis: {problem}", file=sys.stderr)
    if more := len(checked.problems[MAX_PROBLEMS:]):
        print(f"ophis: {more:,} more problems; --json lists all", file=sys.stderr)
    print(f"{checked.path}: {checked.rows:,} rows, {len(checked.problems):,} problems")


def print_web(files: Sequence[WebFile]) -> None:
    """Print the bytes of the files of a page, plain and compressed."""
    table = Table(box=None, pad_edge=False)
    table.add_column("file")
    for heading in ("bytes", "gzip"):
        table.add_column(heading, justify="right")
    for file in files:
        table.add_row(file.path, f"{file.size:,}", f"{file.packed:,}")
    if len(files) > 1:
        sums = (sum(file.size for file in files), sum(file.packed for file in files))
        table.add_row("together", *(f"{number:,}" for number in sums))
    print_table(table)
