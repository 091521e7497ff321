"""Evaluation results of a bundle: the file evaluation.json, from which its card is written."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.decision.calibration import reliability
from ophis.decision.guarantees import group_observations
from ophis.evaluation.confusions import wrong_pairs
from ophis.evaluation.counts import sparse_species
from ophis.evaluation.metrics import answers_of, predictions
from ophis.files.atomic import whole_file
from ophis.files.content import content_of, read_json
from ophis.scores.validation import validation_halves
from ophis.taxonomy.danger import Danger, danger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ophis.decision.calibration import Calibration
    from ophis.decision.rule import DecisionRule
    from ophis.priors.country_counts import CountryPrior
    from ophis.priors.prior import Prior
    from ophis.scores.scores import Scores

MAX_ROWS = 10  # of each table of species, confusions and countries
MIN_PHOTOS = 5  # of a species or country, for its accuracy to be listed

Row = dict[str, Any]


@dataclass(frozen=True)
class EvaluationResults:
    """Results and facts by name; those that are not known are empty.

    Attributes:
        about: description: title, text, recipe, license.
        training: numbers of training photos, species and countries.
        validation: numbers of photos evaluated, and of those that could not be read.
        metrics: top-1, top-5 and macro F1 with 95 % intervals, without and with the country.
        reliability: log loss, Brier score and calibration errors of the same rows.
        guarantees: coverage of the conformal sets, and their size.
        worst_species: accuracy of the species with the lowest.
        confusions: the most frequent pairs of true and predicted species.
        dangerous_confusions: those of a species that may be dangerous and a prediction that is not
            known to be.
        worst_countries: accuracy of the countries with the lowest.
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
        """Write the results as JSON."""
        with whole_file(path) as temporary:
            text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")
        return Path(path)


def read_results(path: str | Path) -> EvaluationResults:
    """Read the file that `EvaluationResults.write` writes.

    Raises:
        InputError: naming the file and the error in it.
    """
    values = read_json(path, "evaluation results")
    with content_of(path, "not evaluation results"):
        return EvaluationResults(**{name: _tuple(value) for name, value in values.items()})


def _tuple(value: Any) -> Any:  # noqa: ANN401 - any JSON value
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
    """Evaluate the parts of a bundle on scores of validation photos.

    Args:
        scores: raw scores; None leaves the results of validation empty.
        calibration: of the bundle.
        prior: of the bundle.
        rule: of the bundle.
        counts: training photos by country and species.
        facts: of the run.
        about: see `EvaluationResults`.
    """
    training = _training(counts) if counts else {}
    if scores is None or not (scores.truth >= 0).any():
        return EvaluationResults(about=about or {}, training=training, facts=facts or {})
    known = scores.take(scores.truth >= 0)
    # Calibrated and with the country only on the half on which neither was fitted.
    half = _evaluation_half(known)
    calibrated = calibration.apply(half) if calibration else half
    variants = [("all photos, the image alone", known), ("the image alone", calibrated)]
    if prior:
        variants.append(("with the country", prior.adjust(half)))
    return EvaluationResults(
        about=about or {},
        training=training,
        validation=_validation(scores),
        metrics=tuple({"variant": name, **_metrics(part)} for name, part in variants),
        reliability=tuple(
            {"variant": name, "photos": len(part), **reliability(part).as_dict()}
            for name, part in variants[1:]
        ),
        guarantees=_guarantees(rule, calibrated) if rule else {},
        worst_species=_worst_species(known),
        confusions=_confusions(known, only_dangerous=False),
        dangerous_confusions=_confusions(known, only_dangerous=True),
        worst_countries=_worst_countries(known),
        facts=facts or {},
    )


def _evaluation_half(known: Scores) -> Scores:
    """The half on which nothing was fitted; all photos if it is empty."""
    _, half = validation_halves(known)
    return half if len(half) else known


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


def _metrics(scores: Scores) -> Row:
    """Top-1, top-5 and macro F1 with 95 % intervals."""
    intervals = answers_of(scores).intervals()
    few, species = sparse_species(scores.truth)
    numbers = {"photos": len(scores), "species": species, "few_photos": few}
    return numbers | {name: asdict(each) for name, each in intervals.items()}


def _guarantees(rule: DecisionRule, alone: Scores) -> Row:
    """Guaranteed coverage, its evidence, and sizes of sets on the photos of the fit.

    `snakes` and `dangerous_snakes` count observations. Without a prior `country_snakes` is None.
    """
    image, country = rule.image, rule.country
    sets = image.names.sets(alone)
    return {
        "snakes": sum(group_observations(image.names)),
        "dangerous_snakes": group_observations(image.danger)[0],
        "country_snakes": sum(group_observations(country)) if country else None,
        "names_coverage": image.names.coverage,
        "names_guaranteed": image.names.guaranteed,
        "country_guaranteed": country is not None and country.guaranteed,
        "danger_coverage": image.danger.coverage,
        "danger_confidence": image.danger.confidence,
        "danger_guaranteed": image.danger_guaranteed,
        "median_set": float(np.median(sets.sum(axis=1))),
        "single_names": float((sets.sum(axis=1) == 1).mean()),
        "snakes_rejected": 1 - rule.passing if np.isfinite(rule.limit) else 0.0,
    }


def _worst_species(scores: Scores) -> tuple[Row, ...]:
    right = predictions(scores) == scores.truth
    return _worst([scores.species[int(column)] for column in scores.truth], right, "species")


def _worst_countries(scores: Scores) -> tuple[Row, ...]:
    return _worst(scores.countries, predictions(scores) == scores.truth, "country")


def _worst(names: Sequence[str], right: NDArray[np.bool_], column: str) -> tuple[Row, ...]:
    """Groups of at least MIN_PHOTOS photos, the lowest accuracy first."""
    photos, hits = Counter(names), Counter(n for n, hit in zip(names, right, strict=True) if hit)
    rows: list[Row] = [
        {column: name, "photos": count, "accuracy": hits[name] / count}
        for name, count in photos.items()
        if count >= MIN_PHOTOS
    ]
    return tuple(sorted(rows, key=lambda row: (row["accuracy"], -row["photos"], row[column])))[
        :MAX_ROWS
    ]


def _confusions(scores: Scores, *, only_dangerous: bool) -> tuple[Row, ...]:
    pairs = wrong_pairs(scores)
    photos = Counter(scores.truth.tolist())
    names = scores.species
    rows = [
        {"species": names[a], "taken_for": names[b], "photos": n, "species_photos": photos[a]}
        for (a, b), n in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
        if not only_dangerous or _danger_missed(names[a], names[b])
    ]
    return tuple(rows[:MAX_ROWS])


def _danger_missed(species: str, taken_for: str) -> bool:
    """Tell if a species that may be dangerous is taken for one that is not known to be."""
    not_known = Danger.NOT_KNOWN_DANGEROUS
    return danger(species) is not not_known and danger(taken_for) is not_known
