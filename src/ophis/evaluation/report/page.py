"""HTML report of a comparison: one self-contained file, with its figures as SVG and CSV."""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ophis.evaluation.counts import macro_f1_note
from ophis.evaluation.report.examples import discrepancy_cards, mixup_example
from ophis.evaluation.report.figure import write_figures
from ophis.evaluation.report.species_figures import (
    class_distribution,
    country_distribution,
    gains,
)
from ophis.evaluation.report.species_map import species_map
from ophis.evaluation.report.training_figures import (
    learning_rates,
    mixup_weights,
    training_curves,
)
from ophis.files.atomic import whole_file
from ophis.geography.countries import country_name
from ophis.locales import read_sentences
from ophis.taxonomy.scientific_names import scientific_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.occurrences.occurrences import Occurrences
    from ophis.evaluation.comparison import Comparison
    from ophis.evaluation.report.examples import SaliencyMaps
    from ophis.evaluation.report.figure import Figure
    from ophis.evaluation.run import ScoredRun

MAX_CONFUSIONS = 100
MAX_MAPS = 6

ERROR_ROWS = (
    ("taken for another species of its genus", "within_genus"),
    ("taken for a species of another genus", "between_genera"),
    ("venomous, taken for one not known to be", "venomous_missed"),
    ("not known to be venomous, taken for one that is", "venomous_alarms"),
)


def write_report(
    comparison: Comparison,
    path: str | Path,
    *,
    runs: tuple[ScoredRun, ScoredRun] | None = None,
    photos: Manifest | None = None,
    maps: Mapping[str, SaliencyMaps] | None = None,
    maps_note: str = "",
    records: Occurrences | None = None,
) -> Path:
    """Write the report of a comparison.

    Args:
        comparison: of two models.
        path: the .html file; figures go to the folder STEM-figures, an SVG and a CSV each.
        runs: the two models, for the figures of data and training.
        photos: manifest of the photos; with it the report shows photos.
        maps: saliency maps by photo id, for photos of the largest discrepancies.
        maps_note: method of the maps.
        records: of species at places; with them the report has a map of each of the species of
            which the models differ most.

    Returns:
        The path of the HTML file.
    """
    path = Path(path)
    values = _values(comparison, photos, maps or {}, maps_note)
    values |= _values_of_runs(runs, photos)
    values["species_maps"] = _species_maps(comparison, records) if records else []
    figures: list[Figure] = [
        figure
        for group in ("gain_figures", "more_figures", "species_maps")
        for figure in values[group]
    ]
    write_figures(figures, path.with_name(f"{path.stem}-figures"))
    text = _environment().from_string(_resource("page.html.jinja")).render(values)
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _values(
    comparison: Comparison,
    photos: Manifest | None,
    maps: Mapping[str, SaliencyMaps],
    maps_note: str,
) -> dict[str, Any]:
    """Values of the template that come from the comparison."""
    gain, script = gains(comparison), _resource("page.js")
    return {
        "c": comparison,
        "version": metadata.version("ophis"),
        "style": _resource("page.css"),
        "script": script,
        "script_hash": _content_hash(script),
        "verdict": verdict(comparison),
        "p_value": _p_value(comparison.disagreement.p_value),
        "macro_f1_note": macro_f1_note(comparison.few_photos, len(comparison.per_species)),
        "error_rows": ERROR_ROWS,
        "discrepancies": discrepancy_cards(comparison, photos, maps),
        "maps_note": _concentrations(comparison, maps, maps_note),
        "gain_figures": [gain] if gain else [],
        "has_training": any(row.training_photos is not None for row in comparison.per_species),
        "confusions_shown": MAX_CONFUSIONS,
        "emergency": read_sentences().text("advice", "emergency"),
    }


def _values_of_runs(
    runs: tuple[ScoredRun, ScoredRun] | None, photos: Manifest | None
) -> dict[str, Any]:
    """Values of the template that come from the run folders."""
    if runs is None:
        return {"more_figures": [], "mixup": None, "facts": []}
    return {
        "more_figures": _figures_of_runs(runs),
        "mixup": None if photos is None else mixup_example(runs, photos),
        "facts": _facts(runs),
    }


def _species_maps(comparison: Comparison, records: Occurrences) -> list[Figure]:
    """Draw the species with the largest gains and losses, of those that have records."""
    known = set(records.species)
    by_name = {scientific_name(row.species): abs(row.gain) for row in comparison.per_species}
    found = sorted(known & by_name.keys(), key=lambda name: (-by_name[name], name))
    return [species_map(records, name) for name in found[:MAX_MAPS]]


def verdict(comparison: Comparison) -> str:
    """Return the comparison in one sentence."""
    a, b = comparison.names
    top1 = comparison.metrics[0].difference
    within = f"95\N{NO-BREAK SPACE}% interval {bounds(top1.low, top1.high, signed=True)}"
    points = f"{abs(100 * top1.value):.2f} points"
    if top1.low > 0:
        return f"{b} names more photos correctly: top-1 is {points} higher ({within})."
    if top1.high < 0:
        return f"{b} names fewer photos correctly: top-1 is {points} lower ({within})."
    return (
        f"These photos do not show which model is better: the top-1 of {b} and {a} differ by"
        f" {points} ({within})."
    )


def percent(fraction: float, signed: bool = False) -> str:
    """Format a fraction as a percentage, or a signed difference in points."""
    if signed:
        return f"{100 * fraction:+.2f}".replace("-", "\N{MINUS SIGN}")
    return f"{100 * fraction:.2f}\N{NO-BREAK SPACE}%"


def bounds(low: float, high: float, signed: bool = False) -> str:
    """Format the ends of an interval without a unit."""
    low_text, high_text = (
        percent(each, signed).removesuffix("\N{NO-BREAK SPACE}%") for each in (low, high)
    )
    return f"{low_text} to {high_text}"


def small_percent(fraction: float) -> str:
    """Format a fraction that may be very small."""
    text = f"{100 * fraction:.1f}" if fraction >= 0.001 else f"{100 * fraction:.1g}"
    return f"{text}\N{NO-BREAK SPACE}%"


def _p_value(p: float) -> str:
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001" if p >= 1e-4 else f"= {p:.0e}" if p else "= 0"


def _figures_of_runs(runs: tuple[ScoredRun, ScoredRun]) -> list[Figure]:
    """Figures of data and training."""
    found: list[Figure] = []
    prior = next((run.prior for run in runs if run.prior), None)
    if prior:
        found += [class_distribution(prior), country_distribution(prior)]
    recipes = {run.name: run.recipe for run in runs if run.recipe}
    if recipes:
        found.append(learning_rates(recipes))
    logs = {run.name: run.log for run in runs if run.log is not None}
    if logs:
        found.append(training_curves(logs))
    alphas = {recipe.mixup_alpha for recipe in recipes.values() if recipe.mixup_alpha}
    found += [mixup_weights(alpha) for alpha in sorted(alphas)[:1]]
    return found


def _facts(runs: tuple[ScoredRun, ScoredRun]) -> list[tuple[str, tuple[str, str]]]:
    """The facts that are needed to repeat both runs, one a row."""
    flat = [dict(_flatten(run.facts)) for run in runs]
    names = list(dict.fromkeys(name for facts in flat for name in facts))
    return [(name, (flat[0].get(name, ""), flat[1].get(name, ""))) for name in names]


def _flatten(values: Mapping[str, object], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{before}{name} ")
        else:
            yield f"{before}{name}".replace("_", " "), str(value)


def _concentrations(comparison: Comparison, maps: Mapping[str, SaliencyMaps], note: str) -> str:
    """The note on the maps, with their mean concentration."""
    if not maps:
        return note
    a, b = np.mean([each.concentration for each in maps.values()], axis=0)
    names = comparison.names
    text = f"{note} Mean concentration over the {len(maps)} photos: {names[0]} {a:.3f},"
    text += f" {names[1]} {b:.3f} (0: all pixels alike, 1: a single one)."
    boxed = [each.inside for each in maps.values() if each.inside]
    if boxed:
        a, b = np.mean(boxed, axis=0)
        text += f" Mean fraction of a map inside the snake's box: {percent(a)} and {percent(b)}."
    return text


def _environment() -> Environment:
    # Every value is escaped: names of photos and species come from untrusted files.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    functions: dict[str, Any] = {
        "percent": percent,
        "bounds": bounds,
        "small_percent": small_percent,
        "country_name": country_name,
    }
    environment.globals |= functions
    return environment


def _resource(name: str) -> str:
    """Read a file of this folder; it is trusted and not escaped."""
    text = resources.files("ophis.evaluation.report").joinpath(name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - a file of this package, no user input


def _content_hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"sha256-{digest}"
