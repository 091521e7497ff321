"""Tables of a model card in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ophis.evaluation.counts import macro_f1_note
from ophis.files.markup import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ophis.evaluation.results import EvaluationResults

FIGURES = (("top1", "top-1"), ("top5", "top-5"), ("macro_f1", "macro F1"))
_RELIABILITY = (
    ("log_loss", "log loss"),
    ("brier_score", "Brier"),
    ("ece", "ECE"),
    ("ece_floor", "ECE floor"),
    ("rms_calibration_error", "debiased RMS error"),
    ("classwise_ece", "classwise ECE"),
)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def cell(value: float | str) -> str:
    """Format a text, a fraction or a number."""
    if isinstance(value, str):
        return escape_markdown(value)
    return f"{value:.0%}" if isinstance(value, float) else f"{value:,}"


def figures_table(results: EvaluationResults) -> str:
    """Return top-1, top-5 and macro F1 with their intervals, and a note on macro F1."""
    rows = [
        [row["variant"], f"{row['photos']:,}", *(_interval(row[key]) for key, _ in FIGURES)]
        for row in results.metrics
    ]
    smallest = min(results.metrics, key=lambda row: row["photos"])
    note = macro_f1_note(smallest["few_photos"], smallest["species"])
    text = table(["", "photos", *(name for _, name in FIGURES)], rows)
    return f"{text}\n{note}\n" if note else text


def _interval(figure: dict[str, float]) -> str:
    value, low, high = (100 * figure[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def reliability_table(results: EvaluationResults) -> str:
    """Return the measures of reliability, with a note on their bias."""
    rows = [
        [row["variant"], *(f"{row[key]:.4f}" for key, _ in _RELIABILITY)]
        for row in results.reliability
    ]
    return (
        f"{table(['', *(name for _, name in _RELIABILITY)], rows)}\n"
        "The floor is the ECE of a perfectly calibrated model on as many photos; the RMS error is"
        " free of this\nbias (Kumar et al. 2019).\n"
    )
