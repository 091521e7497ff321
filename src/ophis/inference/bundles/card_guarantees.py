"""Guarantees of a bundle in the words of its card, with the number of snakes they rest on."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from ophis.decision.conformal import least_observations
from ophis.decision.guarantees import group_observations

if TYPE_CHECKING:
    from ophis.decision.rule import DecisionRule


def guarantee_figures(guarantees: dict[str, Any]) -> str:
    """Return the sizes of the prediction sets, and the guarantee on the danger."""
    if not guarantees:
        return "Coverage of its prediction sets: not measured.\n"
    return (
        f"Its prediction sets hold {guarantees['median_set']:.0f} species in the median;"
        f" {guarantees['single_names']:.0%} of the photos get a single name.\n"
        f"{_danger(guarantees)}\n"
    )


def _danger(guarantees: dict[str, Any]) -> str:
    """Return the guarantee on the danger and its kind, or that there is none."""
    snakes, coverage, confidence = (
        guarantees[name] for name in ("dangerous_snakes", "danger_coverage", "danger_confidence")
    )
    if not guarantees["danger_guaranteed"]:
        return (
            f"{snakes:,} validation snakes that may be dangerous are too few for a guarantee on the"
            f" danger, which needs {least_observations(coverage, confidence):,}: every answer"
            " carries the\nwarning that the snake may be venomous."
        )
    kind = f"with {confidence:.0%} confidence" if confidence else "on average over such bundles"
    return (
        f"For {coverage:.0%} of the snakes that may be dangerous the answer carries the warning"
        f" (guaranteed\n{kind}, by {snakes:,} such snakes, for photos like those of validation)."
    )


def coverage_limits(rule: DecisionRule | None) -> str:
    """Return the guarantees of the rule, and the number of snakes that they rest on."""
    if rule is None:
        return (
            "It was not evaluated on photos known to lie outside its training data, so no answer"
            " excludes any\n  species, and photos without a snake are not detected."
        )
    sets = rule.image.names
    snakes = group_observations(sets)
    few = "" if isfinite(rule.limit) else " (too few validation photos: it rejects none)"
    names = (
        f"On photos like those its sets hold the true\n  species {sets.coverage:.0%} of the time,"
        " on average over such bundles."
        if sets.guaranteed
        else "They are too few for a\n  guarantee on the names: a kind with fewer than"
        f" {least_observations(sets.coverage)} snakes is never excluded."
    )
    return (
        f"Its thresholds rest on {sum(snakes):,} validation snakes, one photo of each,"
        f" {snakes[0]:,} of them of species\n  that may be dangerous. {names}"
        f" {_with_country(rule)}{1 - rule.passing:.0%} of real snakes\n  are rejected, to reject"
        f" out-of-distribution photos{few}."
    )


def _with_country(rule: DecisionRule) -> str:
    """Return the guarantee with a country."""
    if rule.country is None:
        return ""
    snakes = sum(group_observations(rule.country))
    if rule.country.guaranteed:
        return (
            f"The same holds with one\n  country, by {snakes:,} of these snakes, if training knows"
            " the country and no override changes it;\n  with any other place the species that fit"
            " the image alone are kept. "
        )
    return (
        "With a country the species\n  that fit the image alone are kept, because only"
        f" {snakes:,} of these snakes have a country that\n  training knows. "
    )
