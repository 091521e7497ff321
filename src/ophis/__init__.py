"""Identification of snakes from a photo and a place: the public functions and types.

Importing `ophis` loads no module: a public name loads the module that defines it on first access,
so that identifying a snake does not load what reads tables and compares models. `ophis.train` is
a package of its own, the only one that loads torch.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ophis.challenges.aicrowd import HiddenTestResult, aicrowd
    from ophis.challenges.submission import Submission, submit
    from ophis.challenges.submission_check import SubmissionCheck, check_submission
    from ophis.challenges.submission_scores import read_submissions
    from ophis.datasets.collection import Collection, collect
    from ophis.datasets.manifest import Manifest
    from ophis.datasets.occurrences.occurrences import (
        Occurrences,
        occurrences_of,
        read_occurrences,
    )
    from ophis.datasets.shards.reader import Pack
    from ophis.datasets.shards.writer import pack
    from ophis.datasets.sources import read_manifest
    from ophis.datasets.split import split
    from ophis.datasets.synthetic.sample_folder import sample
    from ophis.decision.calibration import Calibration, Reliability, reliability
    from ophis.decision.decision import Decision, State
    from ophis.decision.rule import DecisionRule
    from ophis.decision.verdict import Verdict
    from ophis.errors import (
        BadPhotosError,
        InputError,
        NoPhotoError,
        PhotoError,
        PhotoFailure,
        Reason,
    )
    from ophis.evaluation.comparison import Comparison, compare
    from ophis.evaluation.intervals import Interval
    from ophis.evaluation.metrics import Evaluation, evaluate
    from ophis.evaluation.report.comparison_report import write_comparison
    from ophis.evaluation.report.page import write_report
    from ophis.evaluation.report.species_map import write_species_map
    from ophis.evaluation.results import EvaluationResults
    from ophis.evaluation.run import ScoredRun, read_scored_run
    from ophis.evaluation.table import EvaluationTable, evaluate_files
    from ophis.geography.location import Position
    from ophis.inference.answer import Answer, Guess, SeenPhoto
    from ophis.inference.bundles.bundle import Bundle
    from ophis.inference.bundles.card_sections import MemberResult
    from ophis.inference.bundles.model_card import ModelCard, card
    from ophis.inference.classifier import Classifier, load
    from ophis.inference.doctor import doctor
    from ophis.inference.engine import EngineKind
    from ophis.inference.ensemble import combine
    from ophis.inference.scoring.scores_file import score
    from ophis.priors.bayes import BayesPrior
    from ophis.priors.country_counts import CountryPrior
    from ophis.priors.fitting import FittedPrior, fit_prior
    from ophis.priors.location import LocationPrior
    from ophis.priors.location_fitting import LocationFit
    from ophis.priors.near import NearbySnakes, NearbySpecies, near
    from ophis.priors.overrides import Override
    from ophis.priors.prior import Prior
    from ophis.priors.prior_file import read_prior
    from ophis.priors.range_maps import RangeMap, read_range_map
    from ophis.priors.selection import PriorChoice
    from ophis.recipe import Recipe, read_recipe
    from ophis.scores.scores import Scores, read_scores
    from ophis.taxonomy.danger import Danger
    from ophis.taxonomy.species_list import SpeciesList
    from ophis.web.export import WebFile, export_web

__all__ = [
    "Answer",
    "BadPhotosError",
    "BayesPrior",
    "Bundle",
    "Calibration",
    "Classifier",
    "Collection",
    "Comparison",
    "CountryPrior",
    "Danger",
    "Decision",
    "DecisionRule",
    "EngineKind",
    "Evaluation",
    "EvaluationResults",
    "EvaluationTable",
    "FittedPrior",
    "Guess",
    "HiddenTestResult",
    "InputError",
    "Interval",
    "LocationFit",
    "LocationPrior",
    "Manifest",
    "MemberResult",
    "ModelCard",
    "NearbySnakes",
    "NearbySpecies",
    "NoPhotoError",
    "Occurrences",
    "Override",
    "Pack",
    "PhotoError",
    "PhotoFailure",
    "Position",
    "Prior",
    "PriorChoice",
    "RangeMap",
    "Reason",
    "Recipe",
    "Reliability",
    "ScoredRun",
    "Scores",
    "SeenPhoto",
    "SpeciesList",
    "State",
    "Submission",
    "SubmissionCheck",
    "Verdict",
    "WebFile",
    "aicrowd",
    "card",
    "check_submission",
    "collect",
    "combine",
    "compare",
    "doctor",
    "evaluate",
    "evaluate_files",
    "export_web",
    "fit_prior",
    "load",
    "near",
    "occurrences_of",
    "pack",
    "read_manifest",
    "read_occurrences",
    "read_prior",
    "read_range_map",
    "read_recipe",
    "read_scored_run",
    "read_scores",
    "read_submissions",
    "reliability",
    "sample",
    "score",
    "split",
    "submit",
    "write_comparison",
    "write_report",
    "write_species_map",
]


# Switches of dependencies that otherwise report to their makers, or keep an identifier of this
# machine. They are read when a dependency is imported. A value that the user has set stays.
NO_TELEMETRY = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
for _switch, _off in NO_TELEMETRY.items():
    os.environ.setdefault(_switch, _off)
# OpenVINO reports its import by this module, without a switch; without the module it does not.
sys.modules.setdefault("openvino_telemetry", None)  # ty: ignore[no-matching-overload]

# Module of each name. Type checkers read the imports above.
_MODULES = {
    "Answer": "inference.answer",
    "BadPhotosError": "errors",
    "BayesPrior": "priors.bayes",
    "Bundle": "inference.bundles.bundle",
    "Calibration": "decision.calibration",
    "Classifier": "inference.classifier",
    "Collection": "datasets.collection",
    "Comparison": "evaluation.comparison",
    "CountryPrior": "priors.country_counts",
    "Danger": "taxonomy.danger",
    "Decision": "decision.decision",
    "DecisionRule": "decision.rule",
    "EngineKind": "inference.engine",
    "Evaluation": "evaluation.metrics",
    "EvaluationResults": "evaluation.results",
    "EvaluationTable": "evaluation.table",
    "FittedPrior": "priors.fitting",
    "Guess": "inference.answer",
    "HiddenTestResult": "challenges.aicrowd",
    "InputError": "errors",
    "Interval": "evaluation.intervals",
    "LocationFit": "priors.location_fitting",
    "LocationPrior": "priors.location",
    "Manifest": "datasets.manifest",
    "MemberResult": "inference.bundles.card_sections",
    "ModelCard": "inference.bundles.model_card",
    "NearbySnakes": "priors.near",
    "NearbySpecies": "priors.near",
    "NoPhotoError": "errors",
    "Occurrences": "datasets.occurrences.occurrences",
    "Override": "priors.overrides",
    "Pack": "datasets.shards.reader",
    "PhotoError": "errors",
    "PhotoFailure": "errors",
    "Position": "geography.location",
    "Prior": "priors.prior",
    "PriorChoice": "priors.selection",
    "RangeMap": "priors.range_maps",
    "Reason": "errors",
    "Recipe": "recipe",
    "Reliability": "decision.calibration",
    "ScoredRun": "evaluation.run",
    "Scores": "scores.scores",
    "SeenPhoto": "inference.answer",
    "SpeciesList": "taxonomy.species_list",
    "State": "decision.decision",
    "Submission": "challenges.submission",
    "SubmissionCheck": "challenges.submission_check",
    "Verdict": "decision.verdict",
    "WebFile": "web.export",
    "card": "inference.bundles.model_card",
    "check_submission": "challenges.submission_check",
    "collect": "datasets.collection",
    "combine": "inference.ensemble",
    "compare": "evaluation.comparison",
    "doctor": "inference.doctor",
    "evaluate": "evaluation.metrics",
    "evaluate_files": "evaluation.table",
    "export_web": "web.export",
    "fit_prior": "priors.fitting",
    "load": "inference.classifier",
    "near": "priors.near",
    "occurrences_of": "datasets.occurrences.occurrences",
    "pack": "datasets.shards.writer",
    "aicrowd": "challenges.aicrowd",
    "read_manifest": "datasets.sources",
    "read_occurrences": "datasets.occurrences.occurrences",
    "read_prior": "priors.prior_file",
    "read_range_map": "priors.range_maps",
    "read_recipe": "recipe",
    "read_scored_run": "evaluation.run",
    "read_scores": "scores.scores",
    "read_submissions": "challenges.submission_scores",
    "reliability": "decision.calibration",
    "sample": "datasets.synthetic.sample_folder",
    "score": "inference.scoring.scores_file",
    "split": "datasets.split",
    "submit": "challenges.submission",
    "write_comparison": "evaluation.report.comparison_report",
    "write_report": "evaluation.report.page",
    "write_species_map": "evaluation.report.species_map",
}


def __getattr__(name: str) -> object:
    """Load a public name on first access (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    """Return all names, also those that are not loaded yet."""
    return sorted({*globals(), *__all__})
