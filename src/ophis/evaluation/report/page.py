"""A comparison as one self-contained HTML file, its figures beside it as SVG and CSV."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib import colormaps
from PIL import Image

from ophis.errors import PhotoError
from ophis.evaluation.report import figures
from ophis.files.atomic import whole_file
from ophis.geography.countries import country_name
from ophis.images.decode import read_photo
from ophis.images.preprocessing import resize
from ophis.locales import read_sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.datasets.shards.reader import PackedPhoto
    from ophis.evaluation.comparison import Comparison, Discrepancy
    from ophis.evaluation.report.figures import Figure
    from ophis.evaluation.run import ScoredRun

PICTURE_PIXELS = 160
DISCREPANCIES = 12  # of each model
CONFUSIONS = 100

ERROR_ROWS = (
    ("taken for another species of its genus", "within_genus"),
    ("taken for a species of another genus", "between_genera"),
    ("venomous, taken for one not known to be", "venomous_missed"),
    ("not known to be venomous, taken for one that is", "venomous_alarms"),
)


@dataclass(frozen=True)
class Maps:
    """Where A and B look in one photo.

    Attributes:
        maps: of A and of B, [rows, columns], at least 0.
        concentration: of each, in [0, 1]; see `train.saliency.concentration`.
        inside: share of each map's sum inside the photo's box; None where it has none.
    """

    maps: tuple[NDArray[np.float32], NDArray[np.float32]]
    concentration: tuple[float, float]
    inside: tuple[float, float] | None = None


@dataclass(frozen=True)
class Example:
    """Pictures as data: URLs under one caption."""

    caption: str
    pictures: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Card:
    """A discrepancy with its pictures as data: URLs."""

    discrepancy: Discrepancy
    pictures: tuple[tuple[str, str], ...] = ()
    concentration: tuple[float, float] | None = None
    inside: tuple[float, float] | None = None


def write_report(
    comparison: Comparison,
    path: str | Path,
    *,
    runs: tuple[ScoredRun, ScoredRun] | None = None,
    photos: Manifest | None = None,
    maps: Mapping[str, Maps] | None = None,
    maps_note: str = "",
) -> Path:
    """Write the report, and its figures into a folder of its name.

    Args:
        comparison: what `compare` returned.
        path: the .html file; figures go to `<its stem>-figures/`, an SVG and a CSV each.
        runs: what is known of the two models, for the figures of data and training.
        photos: where the photos are, to show them.
        maps: photo id to where A and B look, for photos of the largest discrepancies.
        maps_note: how the maps were made.

    Returns:
        The path of the HTML file.
    """
    path = Path(path)
    gain = figures.gains(comparison)
    gain_figures = [gain] if gain else []
    more = _figures_of_runs(runs) if runs else []
    figures.write([*gain_figures, *more], path.with_name(f"{path.stem}-figures"))
    script = _own("page.js")
    page = _environment().from_string(_own("page.html.jinja"))
    text = page.render(
        c=comparison,
        version=metadata.version("ophis"),
        style=_own("page.css"),
        script=script,
        script_hash=_content_hash(script),
        verdict=verdict(comparison),
        p_value=_p_value(comparison.disagreement.p_value),
        error_rows=ERROR_ROWS,
        discrepancies=_discrepancies(comparison, photos, maps or {}),
        maps_note=_concentrations(comparison, maps or {}, maps_note),
        gain_figures=gain_figures,
        has_training=any(row.training_photos is not None for row in comparison.per_species),
        confusions_shown=CONFUSIONS,
        more_figures=more,
        mixup=_mixup(runs, photos) if runs and photos is not None else None,
        facts=_facts(runs) if runs else [],
        emergency=read_sentences().text("advice", "emergency"),
    )
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def verdict(comparison: Comparison) -> str:
    """The comparison in one sentence."""
    a, b = comparison.names
    top1 = comparison.figures[0].difference
    within = f"95\N{NO-BREAK SPACE}% interval {bounds(top1.low, top1.high, signed=True)}"
    points = f"{abs(100 * top1.value):.2f} points"
    if top1.low > 0:
        return f"{b} names more photos rightly: top-1 is {points} higher ({within})."
    if top1.high < 0:
        return f"{b} names fewer photos rightly: top-1 is {points} lower ({within})."
    return (
        f"These photos do not tell which of the two is better: the top-1 of {b} and {a} differ by"
        f" {points} ({within})."
    )


def percent(share: float, signed: bool = False) -> str:
    """A share as a percentage; a difference of shares as points, with its sign."""
    if signed:
        return f"{100 * share:+.2f}".replace("-", "\N{MINUS SIGN}")
    return f"{100 * share:.2f}\N{NO-BREAK SPACE}%"


def bounds(low: float, high: float, signed: bool = False) -> str:
    """The two ends of an interval; the figure beside it says what they are of."""
    low_text, high_text = (
        percent(each, signed).removesuffix("\N{NO-BREAK SPACE}%") for each in (low, high)
    )
    return f"{low_text} to {high_text}"


def small_percent(share: float) -> str:
    """A share that may be very small."""
    text = f"{100 * share:.1f}" if share >= 0.001 else f"{100 * share:.1g}"
    return f"{text}\N{NO-BREAK SPACE}%"


def _p_value(p: float) -> str:
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001" if p >= 1e-4 else f"= {p:.0e}" if p else "= 0"


def _figures_of_runs(runs: tuple[ScoredRun, ScoredRun]) -> list[Figure]:
    """What is known of data and training."""
    found: list[Figure] = []
    prior = next((run.prior for run in runs if run.prior), None)
    if prior:
        found += [figures.class_distribution(prior), figures.country_distribution(prior)]
    recipes = {run.name: run.recipe for run in runs if run.recipe}
    if recipes:
        found.append(figures.staircase(recipes))
    logs = {run.name: run.log for run in runs if run.log is not None}
    if logs:
        found.append(figures.training_curves(logs))
    alphas = {recipe.mixup_alpha for recipe in recipes.values() if recipe.mixup_alpha}
    found += [figures.mixup_shares(alpha) for alpha in sorted(alphas)[:1]]
    return found


def _mixup(runs: tuple[ScoredRun, ScoredRun], photos: Manifest) -> Example | None:
    """Two photos of different species and their mixture, as the paper's figure 3 shows it."""
    alpha = next((s.recipe.mixup_alpha for s in runs if s.recipe and s.recipe.mixup_alpha), None)
    species = photos.table["species"].to_list()
    other = next((row for row, name in enumerate(species) if name != species[0]), None)
    if alpha is None or other is None:
        return None
    try:
        pair = [resize(read_photo(photos.photos()[n]), PICTURE_PIXELS) for n in (0, other)]
    except PhotoError:
        return None
    shares = np.random.default_rng(0).beta(alpha, alpha, 10)
    share = float(shares[np.abs(shares - 0.5).argmin()])
    mixed = (share * pair[0] + (1 - share) * pair[1]).astype(np.uint8)
    return Example(
        f"Two photos and their mixture at the most even of ten draws from Beta({alpha:g},"
        f" {alpha:g}): {share:.2f} of the first. It counts for both species, by these shares.",
        (
            (species[0], data_url(pair[0])),
            (species[other], data_url(pair[1])),
            (f"{share:.2f} : {1 - share:.2f}", data_url(mixed)),
        ),
    )


def _discrepancies(
    comparison: Comparison, photos: Manifest | None, maps: Mapping[str, Maps]
) -> list[tuple[str, list[Card]]]:
    paths: dict[str, Path | PackedPhoto] = {}
    if photos is not None:
        paths = dict(zip(photos.table["photo_id"], photos.photos(), strict=True))
    a, b = comparison.names
    lists = (
        (f"{b} is right, {a} least believes it", comparison.gains_of_b),
        (f"{a} is right, {b} least believes it", comparison.gains_of_a),
    )
    return [
        (title, [_card(x, comparison, paths, maps) for x in found[:DISCREPANCIES]])
        for title, found in lists
    ]


def _card(
    discrepancy: Discrepancy,
    comparison: Comparison,
    paths: Mapping[str, Path | PackedPhoto],
    maps: Mapping[str, Maps],
) -> Card:
    path, looks = paths.get(discrepancy.photo_id), maps.get(discrepancy.photo_id)
    if path is None:
        return Card(discrepancy)
    try:
        photo = resize(read_photo(path), PICTURE_PIXELS)
    except PhotoError:  # gone since it was scored: the figures stand without it
        return Card(discrepancy)
    pictures = [("photo", data_url(photo))]
    if looks:
        pictures += [
            (name, data_url(heat(photo, own)))
            for name, own in zip(comparison.names, looks.maps, strict=True)
        ]
    return Card(
        discrepancy,
        tuple(pictures),
        looks.concentration if looks else None,
        looks.inside if looks else None,
    )


def heat(photo: NDArray[np.uint8], look: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A map over a darkened grey copy of its photo, both [side, side].

    The brightest hundredth of the map's pixels are drawn alike, so that one of them does not hide
    the rest.
    """
    side = photo.shape[0]
    small = Image.fromarray(look).resize((side, side), Image.Resampling.BOX)
    strength = np.asarray(small) / max(float(np.percentile(np.asarray(small), 99)), 1e-12)
    strength = np.clip(strength, 0, 1)[..., None]
    colour = colormaps["inferno"](strength[..., 0])[..., :3] * 255
    grey = photo.mean(axis=2, keepdims=True) * 0.45
    return (grey * (1 - strength) + colour * strength).astype(np.uint8)


def data_url(picture: NDArray[np.uint8]) -> str:
    """A picture as text that a page can hold."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=70, method=6)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _facts(runs: tuple[ScoredRun, ScoredRun]) -> list[tuple[str, tuple[str, str]]]:
    """What is needed to repeat both runs, a row a fact."""
    flat = [dict(_flatten(run.facts)) for run in runs]
    names = list(dict.fromkeys(name for facts in flat for name in facts))
    return [(name, (flat[0].get(name, ""), flat[1].get(name, ""))) for name in names]


def _flatten(values: Mapping[str, object], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{before}{name} ")
        else:
            yield f"{before}{name}".replace("_", " "), str(value)


def _concentrations(comparison: Comparison, maps: Mapping[str, Maps], note: str) -> str:
    """The note on the maps, with their mean concentration."""
    if not maps:
        return note
    a, b = np.mean([looks.concentration for looks in maps.values()], axis=0)
    names = comparison.names
    text = f"{note} Mean concentration over the {len(maps)} photos: {names[0]} {a:.3f},"
    text += f" {names[1]} {b:.3f} (0: all pixels alike, 1: a single one)."
    boxed = [looks.inside for looks in maps.values() if looks.inside]
    if boxed:
        a, b = np.mean(boxed, axis=0)
        text += f" Mean share of a map inside the snake's box: {percent(a)} and {percent(b)}."
    return text


def _environment() -> Environment:
    # Every value is escaped: names of photos and species come from files that anyone can write.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    helpers: dict[str, Any] = {
        "percent": percent,
        "bounds": bounds,
        "small_percent": small_percent,
        "country_name": country_name,
    }
    environment.globals |= helpers
    return environment


def _own(name: str) -> str:
    """A file of this folder, as safe markup only where the page says so."""
    text = resources.files("ophis.evaluation.report").joinpath(name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - our own, not what a person gave


def _content_hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"sha256-{digest}"
