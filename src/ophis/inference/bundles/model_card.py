"""Model card of a bundle: intended use, data, evaluation results and limitations.

The headings follow TRIPOD+AI (Collins et al. 2024) as far as they apply. Facts without a
measurement are given as "not measured". The head is that of a model card of the Hugging Face Hub.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ophis.datasets.training_photos import require_unseen_by
from ophis.errors import InputError
from ophis.evaluation.results import MIN_PHOTOS, EvaluationResults, evaluate_bundle, read_results
from ophis.inference.bundles.bundle import BundleWriter, read_bundle
from ophis.inference.bundles.card_guarantees import guarantee_figures
from ophis.inference.bundles.card_sections import (
    NOT_MEASURED,
    about_imagenet17,
    data_section,
    intended_use,
    limitations,
    predictors_section,
    synthetic_note,
)
from ophis.inference.bundles.card_tables import (
    FIGURES,
    cell,
    figures_table,
    reliability_table,
    table,
)
from ophis.inference.bundles.index import CARD, EVALUATION

if TYPE_CHECKING:
    from pathlib import Path

    from ophis.decision.calibration import Calibration
    from ophis.decision.rule import DecisionRule
    from ophis.evaluation.run import ScoredRun
    from ophis.inference.bundles.bundle import Bundle
    from ophis.priors.prior import Prior
    from ophis.taxonomy.species_list import SpeciesList


@dataclass(frozen=True)
class ModelCard:
    """Model card of a bundle.

    Attributes:
        folder: folder of the bundle.
        version: version of the bundle, after the card is written if it is.
        results: evaluation results of the card.
        text: the card in Markdown, with the metadata of the Hub.
    """

    folder: Path
    version: str
    results: EvaluationResults
    text: str


def card(
    folder: str | Path,
    *,
    run: ScoredRun | None = None,
    license: str | None = None,  # noqa: A002 - the Hub's word
    write: bool = False,
) -> ModelCard:
    """Return the model card of a bundle, and write it into the bundle if that is requested.

    Args:
        folder: folder of the bundle.
        run: scores of the bundle on photos outside its training data, to evaluate instead of the
            results that the bundle holds.
        license: licence of its weights; by default the one that the bundle holds.
        write: write card and results into the bundle, which changes its version.

    Raises:
        InputError: when the bundle cannot be read, the scores are of other species, or their photos
            are, or may be, training photos of the bundle.
    """
    bundle = read_bundle(folder)
    results = _results(bundle, run, license)
    try:
        text = card_text(
            bundle.species,
            results,
            calibration=bundle.calibration,
            prior=bundle.prior,
            rule=bundle.rule,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        path = bundle.folder / EVALUATION
        raise InputError(f"{path}: not evaluation results: {error!r}; export again") from None
    version = _write(bundle, results, text) if write else bundle.version
    return ModelCard(bundle.folder, version, results, text)


def _results(bundle: Bundle, run: ScoredRun | None, licence: str | None) -> EvaluationResults:
    """Return the results that a bundle holds, or those of its scores, with its licence."""
    path = bundle.folder / EVALUATION
    results = read_results(path) if path.is_file() else EvaluationResults()
    if run:
        require_unseen_by(bundle.folder, run.scores.photo_ids, run.scores.sha256)
        evaluated = evaluate_bundle(
            run.scores.with_species(bundle.species),
            calibration=bundle.calibration,
            prior=bundle.prior,
            rule=bundle.rule,
            counts=run.prior,
            facts=run.facts,
            about=results.about,
        )
        results = evaluated if run.prior else replace(evaluated, training=results.training)
    if licence:
        results = replace(results, about=results.about | {"license": licence})
    return results


def _write(bundle: Bundle, results: EvaluationResults, text: str) -> str:
    """Write a card into a bundle, whole or not at all, and return the new version."""
    with BundleWriter(bundle.folder) as writer:
        writer.copy(bundle)
        (writer.folder / CARD).write_text(text, encoding="utf-8")
        results.write(writer.folder / EVALUATION)
    return read_bundle(bundle.folder).version


def card_text(
    species: SpeciesList,
    results: EvaluationResults,
    *,
    calibration: Calibration | None,
    prior: Prior | None,
    rule: DecisionRule | None,
) -> str:
    """Return the whole card in Markdown.

    Args:
        species: species of the bundle.
        results: all figures of the card.
        calibration: calibration of the bundle.
        prior: prior of the bundle.
        rule: decision rule of the bundle.
    """
    about = results.about
    title = about.get("title") or f"{len(species)} kinds of snake"
    parts = [
        f"# {title}\n\n{synthetic_note(species)}{about.get('text') or _UNKNOWN}\n",
        intended_use(),
        data_section(results),
        predictors_section(species, prior),
        f"## Figures\n\n{_figures(results, calibration)}",
        _failures(results),
        limitations(species, calibration, rule),
        _HOW,
    ]
    if recipe := about.get("recipe"):
        parts.append(f"## Recipe\n\n```toml\n{recipe}```\n")
    return _head(title, results) + "\n".join(parts)


def imagenet17_card(species: SpeciesList) -> str:
    """Return the card of the built-in bundle imagenet17."""
    about = EvaluationResults(about=about_imagenet17(species))
    return card_text(species, about, calibration=None, prior=None, rule=None)


_UNKNOWN = "The bundle does not hold its origin."
_HOW = """## How to use it

```python
import ophis

answer = ophis.load("hf://owner/name").identify("photo.jpg", country="India")
```

A folder works as well as a name on the Hub. `config.json` and `model.safetensors`, if present, are
the same network for timm: `timm.create_model("hf-hub:owner/name", pretrained=True)`.
"""


def _head(title: str, results: EvaluationResults) -> str:
    """Return the YAML metadata of the Hub; values are written as JSON, which is YAML."""
    lines = {
        "library_name": "ophis",
        "pipeline_tag": "image-classification",
        "license": results.about.get("license"),
        "tags": ["snakes", "species-identification", "image-classification", "onnx"],
        "metrics": ["accuracy", "f1"] if results.metrics else None,
        "model-index": _model_index(title, results),
    }
    rows = (f"{key}: {_yaml(value)}\n" for key, value in lines.items() if value)
    return f"---\n{''.join(rows)}---\n"


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
    dataset = {
        "type": "ophis-manifest",
        "name": f"{figures['photos']:,} photos outside the training data",
    }
    result = {
        "task": {"type": "image-classification", "name": "naming snakes, the image alone"},
        "dataset": dataset | ({"revision": sha256} if sha256 else {}),
        "metrics": metrics,
    }
    return [{"name": title, "results": [result]}]


def _figures(results: EvaluationResults, calibration: Calibration | None) -> str:
    if not results.metrics:
        return "Not evaluated on photos that are known to lie outside the training data.\n"
    raw = " and before its calibration" if calibration and calibration.by_species else ""
    photos = results.metrics[0]["photos"]
    return (
        f"On {photos:,} validation photos outside the training data, without the country{raw},\n"
        "and on the half of them that neither calibration nor prior was fitted on. In brackets 95 %"
        " intervals\n(jackknife over observations).\n\n"
        f"{figures_table(results)}\n{reliability_table(results)}\n"
        f"{guarantee_figures(results.guarantees)}"
        f"External validation: {NOT_MEASURED}.\n"
    )


def _failures(results: EvaluationResults) -> str:
    """Return the tables of errors, the worst first."""
    if not results.metrics:
        return f"## Where it fails\n\n{NOT_MEASURED.capitalize()}.\n"
    text = (
        "## Where it fails\n\nThe image alone, over all validation photos; species and countries"
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
        cells = [[cell(row[key]) for key in keys] for row in rows]
        titles = [key.replace("_", " ") for key in keys]
        none = "None on these photos, which is no proof that there are none.\n"
        text += f"\n{heading}:\n\n{table(titles, cells) if cells else none}"
    return text
