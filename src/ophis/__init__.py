"""ophis names a snake from a photo and a country.

Importing it loads nothing: each public name brings its module when it is first asked for, so that
naming a snake does not wait for what reads tables and compares models. ONNX Runtime comes with
`load`, torch only with `ophis.train`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ophis.datasets.collection import Collection, collect
    from ophis.datasets.manifest import Manifest
    from ophis.datasets.shards.reader import Pack
    from ophis.datasets.shards.writer import pack
    from ophis.datasets.sources import read_manifest
    from ophis.datasets.split import split
    from ophis.datasets.synthetic.sample_folder import sample
    from ophis.errors import InputError, PhotoError
    from ophis.evaluation.comparison import Comparison, compare
    from ophis.evaluation.metrics import Evaluation, evaluate
    from ophis.evaluation.report.page import write_report
    from ophis.inference.classifier import load
    from ophis.priors.country_counts import CountryPrior
    from ophis.priors.prior_file import read_prior
    from ophis.recipe import Recipe, read_recipe
    from ophis.scores.scores import Scores, read_scores
    from ophis.taxonomy.species_list import SpeciesList

__all__ = [
    "Collection",
    "Comparison",
    "CountryPrior",
    "Evaluation",
    "InputError",
    "Manifest",
    "Pack",
    "PhotoError",
    "Recipe",
    "Scores",
    "SpeciesList",
    "collect",
    "compare",
    "evaluate",
    "load",
    "pack",
    "read_manifest",
    "read_prior",
    "read_recipe",
    "read_scores",
    "sample",
    "split",
    "write_report",
]


# Where each name is defined; type checkers read the imports above.
_MODULES = {
    "Collection": "datasets.collection",
    "Comparison": "evaluation.comparison",
    "CountryPrior": "priors.country_counts",
    "Evaluation": "evaluation.metrics",
    "InputError": "errors",
    "Manifest": "datasets.manifest",
    "Pack": "datasets.shards.reader",
    "PhotoError": "errors",
    "Recipe": "recipe",
    "Scores": "scores.scores",
    "SpeciesList": "taxonomy.species_list",
    "collect": "datasets.collection",
    "compare": "evaluation.comparison",
    "evaluate": "evaluation.metrics",
    "load": "inference.classifier",
    "pack": "datasets.shards.writer",
    "read_manifest": "datasets.sources",
    "read_prior": "priors.prior_file",
    "read_recipe": "recipe",
    "read_scores": "scores.scores",
    "sample": "datasets.synthetic.sample_folder",
    "split": "datasets.split",
    "write_report": "evaluation.report.page",
}


def __getattr__(name: str) -> object:
    """A public name, when it is first asked for (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    """All names, also those that nobody asked for yet."""
    return sorted({*globals(), *__all__})
