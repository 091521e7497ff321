"""What was measured of a bundle: the figures that its card is written from, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.decision.calibration import reliability
from ophis.errors import InputError
from ophis.evaluation.comparison import interval
from ophis.evaluation.metrics import macro_f1, predictions, ranks
from ophis.files.atomic import whole_file
from ophis.scores.validation import validation_halves
from ophis.taxonomy.danger import Danger, danger, dangerous

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ophis.decision.calibration import Calibration
    from ophis.decision.rule import DecisionRule
    from ophis.priors.country_counts import CountryPrior
    from ophis.priors.prior import Prior
    from ophis.scores.scores import Scores

RESAMPLES = 1000
MOST_ROWS = 10  # species, confusions and countries that are named, the worst first
MIN_PHOTOS = 5  # of a country or a species, below which its share says next to nothing

Row = dict[str, Any]


@dataclass(frozen=True)
class EvaluationResults:
    """Figures and facts by name; what is empty was not measured.

    Attributes:
        about: what it is and what it was made of: title, text, recipe, license.
        training: photos, species and countries learned from.
        validation: photos evaluated, and those that could not be read.
        metrics: top-1, top-5 and macro F1, with 95 % intervals, without and with the country.
        reliability: log loss, Brier score and calibration errors of the same rows.
        guarantees: how often sets held the true species, and how large they were.
        worst_species: recall of those most often missed.
        confusions: the pairs taken for each other most often.
        dangerous_confusions: those where a snake that may be dangerous is taken for one not known
            to be.
        worst_countries: top-1 by country.
        facts: of the run: digests, versions, hardware.
    """

    about: Row = field(default_factory=dict)
    training: Row = field(default_factory=dict)
    validation: Row = field(default_factory=dict)
    metrics: tuple[Row, ...] = ()
    reliability: tuple[Row, ...] = ()
    guarantees: Row = field(default_factory=dict)
    worst_species: tuple[Row, ...] = ()
    confusions: tuple[Row, ...] = ()
    dangerous_confusions: tuple[Row, ...] = ()
    worst_countries: tuple[Row, ...] = ()
    facts: Row = field(default_factory=dict)

    def write(self, path: str | Path) -> Path:
        """Write evaluation.json, whole or not at all."""
        with whole_file(path) as temporary:
            text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")
        return Path(path)


def read_results(path: str | Path) -> EvaluationResults:
    """Read what `EvaluationResults.write` wrote.

    Raises:
        InputError: naming the file and what is wrong with it.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        return EvaluationResults(**{name: _listed(value) for name, value in values.items()})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not evaluation results: {error}") from None


def _listed(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    return tuple(value) if isinstance(value, list) else value


def evaluate_bundle(
    scores: Scores | None,
    *,
    calibration: Calibration | None,
    prior: Prior | None,
    rule: DecisionRule | None,
    counts: CountryPrior | None = None,
    facts: Row | None = None,
    about: Row | None = None,
) -> EvaluationResults:
    """Judge a bundle's parts on scores of photos that it did not learn from.

    Args:
        scores: raw; those that calibration, prior and rule were fitted on, or others.
        calibration: of the bundle.
        prior: of the bundle.
        rule: of the bundle.
        counts: photos learned from, by country and species.
        facts: what a run noted of itself.
        about: see `EvaluationResults`.
    """
    training = _training(counts) if counts else {}
    if scores is None or not (scores.truth >= 0).any():
        return EvaluationResults(about=about or {}, training=training, facts=facts or {})
    known = scores.take(scores.truth >= 0)
    # With the country only on the half that neither calibration nor prior was fitted on.
    judging = _labelled_half(known)
    alone = calibration.apply(judging) if calibration else judging
    kinds = [("all photos, the image alone", known), ("the image alone", alone)]
    if prior:
        kinds.append(("with the country", prior.adjust(judging)))
    return EvaluationResults(
        about=about or {},
        training=training,
        validation=_validation(scores),
        metrics=tuple({"variant": what, **_figures(part)} for what, part in kinds),
        reliability=tuple(
            {"variant": what, "photos": len(part), **reliability(part).as_dict()}
            for what, part in kinds[1:]
        ),
        guarantees=_guarantees(rule, alone) if rule else {},
        worst_species=_worst_species(known),
        confusions=_confusions(known, only_dangerous=False),
        dangerous_confusions=_confusions(known, only_dangerous=True),
        worst_countries=_worst_countries(known),
        facts=facts or {},
    )


def _labelled_half(known: Scores) -> Scores:
    """The half to promise on; all, where that has none."""
    _, judging = validation_halves(known)
    return judging if len(judging) else known


def _training(counts: CountryPrior) -> Row:
    photos = sorted(counts.species_photos().values())
    by_country = dict(zip(counts.countries, counts.counts.sum(axis=1).tolist(), strict=True))
    return {
        "photos": int(sum(photos)),
        "species": len(photos),
        "fewest": int(photos[0]),
        "median": float(np.median(photos)),
        "most": int(photos[-1]),
        "countries": {
            name: int(n) for name, n in sorted(by_country.items(), key=lambda item: -item[1])
        },
    }


def _validation(scores: Scores) -> Row:
    known = scores.truth >= 0
    species = len(scores.species)
    return {
        "photos": int(known.sum()),
        "without_species": int((~known).sum()),
        "unreadable": len(scores.failures),
        "without_country": sum(name == "UNKNOWN" for name in scores.countries),
        "countries": len(set(scores.countries) - {"UNKNOWN"}),
        "species_without_photo": species - len(np.unique(scores.truth[known])),
    }


def _figures(scores: Scores) -> Row:
    """Top-1, top-5 and macro F1 with 95 % intervals: whole observations are drawn anew."""
    observation = np.unique(scores.observations, return_inverse=True)[1]
    count = int(observation.max()) + 1
    place, answers = ranks(scores), predictions(scores)

    def figures(weights: NDArray[np.float64]) -> list[float]:
        shares = [float(weights @ (place < k) / weights.sum()) for k in (1, 5)]
        return [*shares, macro_f1(scores.truth, answers, weights=weights)]

    chance = np.random.default_rng(0)
    fair = np.full(count, 1 / count)
    drawn = np.array(
        [
            figures(chance.multinomial(count, fair)[observation].astype(np.float64))
            for _ in range(RESAMPLES)
        ]
    )
    whole = figures(np.ones(len(scores)))
    named = zip(("top1", "top5", "macro_f1"), whole, drawn.T, strict=True)
    return {"photos": len(scores)} | {n: asdict(interval(value, d)) for n, value, d in named}


def _guarantees(rule: DecisionRule, alone: Scores) -> Row:
    """What was promised; it was fitted on these photos, so it is no figure of how it is kept."""
    sets = rule.image.names.sets(alone)
    return {
        "photos": rule.image.names.photos,
        "names_coverage": rule.image.names.coverage,
        "danger_coverage": rule.image.danger.coverage,
        "danger_guaranteed": bool(
            np.isfinite(rule.image.danger.thresholds[dangerous(alone.species)]).all()
        ),
        "median_set": float(np.median(sets.sum(axis=1))),
        "single_names": float((sets.sum(axis=1) == 1).mean()),
        "snakes_rejected": 1 - rule.passing if np.isfinite(rule.limit) else 0.0,
    }


def _worst_species(scores: Scores) -> tuple[Row, ...]:
    right = predictions(scores) == scores.truth
    return _worst([scores.species[int(column)] for column in scores.truth], right, "species")


def _worst_countries(scores: Scores) -> tuple[Row, ...]:
    return _worst(scores.countries, predictions(scores) == scores.truth, "country")


def _worst(names: Sequence[str], right: NDArray[np.bool_], what: str) -> tuple[Row, ...]:
    """Groups of enough photos, those least often right first."""
    photos, hits = Counter(names), Counter(n for n, hit in zip(names, right, strict=True) if hit)
    rows: list[Row] = [
        {what: name, "photos": count, "accuracy": hits[name] / count}
        for name, count in photos.items()
        if count >= MIN_PHOTOS
    ]
    return tuple(sorted(rows, key=lambda row: (row["accuracy"], -row["photos"], row[what])))[
        :MOST_ROWS
    ]


def _confusions(scores: Scores, *, only_dangerous: bool) -> tuple[Row, ...]:
    answers = predictions(scores)
    wrong = answers != scores.truth
    pairs = Counter(zip(scores.truth[wrong].tolist(), answers[wrong].tolist(), strict=True))
    photos = Counter(scores.truth.tolist())
    names = scores.species
    rows = [
        {"species": names[a], "taken_for": names[b], "photos": n, "species_photos": photos[a]}
        for (a, b), n in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
        if not only_dangerous or _undangerous_name(names[a], names[b])
    ]
    return tuple(rows[:MOST_ROWS])


def _undangerous_name(species: str, taken_for: str) -> bool:
    """Whether a snake that may be dangerous gets the name of one not known to be."""
    unknown = Danger.NOT_KNOWN_DANGEROUS
    return danger(species) is not unknown and danger(taken_for) is unknown
