"""The card of a bundle: what it is for, what it knows, how well, and what it cannot know.

Its headings follow TRIPOD+AI (Collins et al. 2024) where they have a meaning here. Only what was
measured stands in it; of the rest it says "not measured". Its head is that of a model card of the
Hugging Face Hub.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ophis.evaluation.results import MIN_PHOTOS, EvaluationResults
from ophis.files.markup import escape_markdown
from ophis.inference.bundles.card_about import about_imagenet17
from ophis.inference.bundles.card_caution import caution
from ophis.taxonomy.danger import Danger, danger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ophis.decision.calibration import Calibration
    from ophis.decision.rule import DecisionRule
    from ophis.priors.prior import Prior
    from ophis.taxonomy.species_list import SpeciesList

RELIABILITY = ("log_loss", "brier_score", "ece", "classwise_ece")
NOT_MEASURED = "not measured"
FIGURES = (("top1", "top-1"), ("top5", "top-5"), ("macro_f1", "macro F1"))
MOST_COUNTRIES = 10


def card(
    species: SpeciesList,
    results: EvaluationResults,
    *,
    calibration: Calibration | None,
    prior: Prior | None,
    rule: DecisionRule | None,
) -> str:
    """The whole card.

    Args:
        species: of the bundle.
        results: all figures that stand in it.
        calibration: of the bundle.
        prior: of the bundle.
        rule: of the bundle.
    """
    about = results.about
    title = about.get("title") or f"{len(species)} kinds of snake"
    parts = [
        f"# {title}\n\n{_synthetic_note(species)}{about.get('text') or _UNKNOWN}\n",
        _use(),
        _data(results),
        _predictors(species, prior),
        f"## Figures\n\n{_figures(results, calibration)}",
        _failures(results),
        caution(species, calibration, rule),
        _HOW,
    ]
    if recipe := about.get("recipe"):
        parts.append(f"## Recipe\n\n```toml\n{recipe}```\n")
    return _head(title, results) + "\n".join(parts)


def imagenet17_card(species: SpeciesList) -> str:
    """The card of the ready bundle."""
    about = EvaluationResults(about=about_imagenet17(species))
    return card(species, about, calibration=None, prior=None, rule=None)


_UNKNOWN = "What it was made of is not noted in this bundle."
_HOW = """## How to use it

```python
import ophis

answer = ophis.load("hf://owner/name").identify("photo.jpg", country="India")
```

A folder does as well as a name on the Hub. `config.json` and `model.safetensors`, where they are
there, are the same network for timm: `timm.create_model("hf-hub:owner/name", pretrained=True)`.
"""


def _head(title: str, results: EvaluationResults) -> str:
    """What the Hub reads, in YAML; the values are written as JSON, which is YAML."""
    lines = {
        "library_name": "ophis",
        "pipeline_tag": "image-classification",
        "license": results.about.get("license"),
        "tags": ["snakes", "species-identification", "image-classification", "onnx"],
        "metrics": ["accuracy", "f1"] if results.metrics else None,
        "model-index": _model_index(title, results),
    }
    said = (f"{key}: {_yaml(value)}\n" for key, value in lines.items() if value)
    return f"---\n{''.join(said)}---\n"


def _yaml(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _model_index(title: str, results: EvaluationResults) -> list[dict[str, Any]] | None:
    if not results.metrics:
        return None
    figures = results.metrics[0]
    sha256 = results.facts.get("validation", {}).get("sha256")
    metrics = [
        {"type": "f1" if key == "macro_f1" else "accuracy", "name": name, "value": round(
            figures[key]["value"], 4)}
        for key, name in FIGURES
    ]  # fmt: skip
    dataset = {"type": "ophis-manifest", "name": f"{figures['photos']:,} photos not learned from"}
    result = {
        "task": {"type": "image-classification", "name": "naming snakes, the image alone"},
        "dataset": dataset | ({"revision": sha256} if sha256 else {}),
        "metrics": metrics,
    }
    return [{"name": title, "results": [result]}]


def _use() -> str:
    return (
        "## Intended use\n\nTo help a person name a snake in a photo, with the country where it was"
        " seen, and to say when no name\nis sure. For health workers and researchers who check the"
        " name by other means; it is no medical device,\nand no treatment should follow from it"
        " alone. How well anybody does with its help: not measured.\n"
    )


def _synthetic_note(species: SpeciesList) -> str:
    if not all(name.startswith("Synthetic ") for name in species):
        return ""
    return (
        "> **Synthetic, not photographed.** Trained on synthetic photos: it shows that the software"
        " works and\n> is of no use on real snakes.\n\n"
    )


def _data(results: EvaluationResults) -> str:
    training, judged, facts = results.training, results.validation, results.facts
    learned = NOT_MEASURED
    if training:
        learned = (
            f"{training['photos']:,} photos of {training['species']:,} species"
            f" ({training['fewest']:,} to {training['most']:,} photos a species, median"
            f" {training['median']:,.0f}) from {_countries(training['countries'])}"
        )
    held = missing = NOT_MEASURED
    if judged:
        held = (
            f"{judged['photos']:,} photos that it did not learn from, of"
            f" {judged['countries']:,} countries"
        )
        missing = (
            f"of the photos judged by, {judged['without_country']:,} have no country,"
            f" {judged['without_species']:,} no species and do not count,"
            f" {judged['unreadable']:,} could not be read; {judged['species_without_photo']:,}"
            " species have none"
        )
    return (
        f"## Data\n\n- Learned from: {learned}.{_digest(facts, 'train')}\n"
        f"- Judged by: {held}.{_digest(facts, 'validation')}\n- Missing: {missing}.\n"
        "- When and by whom the photos were taken, where they come from, who named the snakes:"
        f" {NOT_MEASURED}.\n"
    )


def _countries(photos: dict[str, int]) -> str:
    known = {name: n for name, n in photos.items() if name != "UNKNOWN" and n}
    most = ", ".join(f"{name} {n:,}" for name, n in list(known.items())[:MOST_COUNTRIES])
    more = ", ..." if len(known) > MOST_COUNTRIES else ""
    return (
        f"{len(known):,} countries ({most}{more}); the country of"
        f" {photos.get('UNKNOWN', 0):,} photos is not known"
    )


def _digest(facts: dict[str, Any], part: str) -> str:
    digest = facts.get(part, {}).get("sha256")
    return f" sha256 of the manifest: `{digest}`." if digest else ""


def _predictors(species: SpeciesList, prior: Prior | None) -> str:
    dangers = [danger(name) for name in species]
    venomous, others = (
        sum(found is kind for found in dangers)
        for kind in (Danger.VENOMOUS, Danger.NOT_KNOWN_DANGEROUS)
    )
    return (
        "## What it says, and from what\n\n"
        f"It says which of {len(species):,} species a snake is: {venomous:,} venomous,"
        f" {others:,} not known to be dangerous, {len(species) - venomous - others:,} to be"
        " treated\nas venomous because nothing is known of them. It goes by one photo or several of"
        f" one snake. {_country(prior)}"
    )


def _country(prior: Prior | None) -> str:
    if prior is None:
        return "It knows nothing of countries: the image alone decides.\n"
    return f"With a country its answers are changed by: {prior.what_it_is()}.\n"


def _figures(results: EvaluationResults, calibration: Calibration | None) -> str:
    if not results.metrics:
        return "Not judged on any photo.\n"
    raw = " and before its calibration" if calibration and calibration.by_species else ""
    photos = results.metrics[0]["photos"]
    rows = [
        [row["variant"], f"{row['photos']:,}", *(_interval(row[key]) for key, _ in FIGURES)]
        for row in results.metrics
    ]
    reliable = [
        [row["variant"], *(f"{row[key]:.4f}" for key in RELIABILITY)] for row in results.reliability
    ]
    return (
        f"On {photos:,} validation photos that it did not learn from, without the country{raw},\n"
        "and on the half of them that neither calibration nor prior was fitted on. In brackets 95 %"
        " intervals\n(bootstrap over observations).\n\n"
        f"{_table(['', 'photos', *(name for _, name in FIGURES)], rows)}\n"
        f"{_table(['', 'log loss', 'Brier', 'ECE', 'classwise ECE'], reliable)}\n"
        f"{_guarantees(results.guarantees)}"
        f"Judged at another place, or by other people: {NOT_MEASURED}.\n"
    )


def _guarantees(guarantees: dict[str, Any]) -> str:
    if not guarantees:
        return f"How often its sets of names hold the true species: {NOT_MEASURED}.\n"
    danger_said = (
        f"Of {guarantees['danger_coverage']:.0%} of the snakes that may be dangerous it is promised"
        " that the answer says so."
        if guarantees["danger_guaranteed"]
        else "Too few photos to promise anything of the danger: every answer says that the snake"
        " may be venomous."
    )
    return (
        f"Its sets of names hold {guarantees['median_set']:.0f} species in the median;"
        f" {guarantees['single_names']:.0%} of the photos get a single name.\n{danger_said}\n"
    )


def _interval(figure: dict[str, float]) -> str:
    value, low, high = (100 * figure[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def _failures(results: EvaluationResults) -> str:
    """Where it fails, the worst first; nothing where nobody looked."""
    if not results.metrics:
        return f"## Where it fails\n\n{NOT_MEASURED.capitalize()}.\n"
    confused = (
        "## Where it fails\n\nThe image alone, over all photos judged by; species and countries"
        f" of fewer than {MIN_PHOTOS} photos are left out.\n"
    )
    for heading, rows, keys in (
        ("Species most often missed", results.worst_species, ("species", "photos", "accuracy")),
        ("Countries with the most wrong names", results.worst_countries,
         ("country", "photos", "accuracy")),
        ("Taken for another most often", results.confusions,
         ("species", "taken_for", "photos", "species_photos")),
        ("**May be dangerous, taken for one not known to be dangerous**",
         results.dangerous_confusions, ("species", "taken_for", "photos", "species_photos")),
    ):  # fmt: skip
        cells = [[_cell(row[key]) for key in keys] for row in rows]
        titles = [key.replace("_", " ") for key in keys]
        none = "None on these photos, which is no proof that there are none.\n"
        confused += f"\n{heading}:\n\n{_table(titles, cells) if cells else none}"
    return confused


def _cell(value: float | str) -> str:
    if isinstance(value, str):
        return escape_markdown(value)
    return f"{value:.0%}" if isinstance(value, float) else f"{value:,}"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
