"""What a bundle cannot do, for its card."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from ophis.locales import read_sentences

if TYPE_CHECKING:
    from ophis.decision.calibration import Calibration
    from ophis.decision.rule import DecisionRule
    from ophis.taxonomy.species_list import SpeciesList

_CAUTION = """## What it cannot do

- {is_ood}
- A snake of any kind but its own {species} gets one of these names or none, never its own.
- {calibrated}
- No answer is an all-clear. {emergency}
"""


def caution(
    species: SpeciesList, calibration: Calibration | None, rule: DecisionRule | None
) -> str:
    """The part of a card that holds of every bundle, with what was promised of this one."""
    calibrated = (
        f"Probabilities are calibrated on validation photos ({_by(calibration)}): on photos\n  like"
        " those a 70 % is right about seven times in ten; on others it may not be."
        if calibration
        else "A probability is what the network says, not a measured chance of being right: nothing"
        " here is\n  calibrated."
    )
    return _CAUTION.format(
        species=len(species),
        calibrated=calibrated,
        is_ood=_novel(rule),
        emergency=read_sentences().text("advice", "emergency"),
    )


def _by(calibration: Calibration) -> str:
    if not calibration.by_species:
        return f"temperature {calibration.temperature:.2f}"
    return (
        "a factor and an offset for each species, mean temperature"
        f" {calibration.temperature:.2f};\n  they may change which species comes first"
    )


def _novel(rule: DecisionRule | None) -> str:
    if rule is None:
        return (
            "It was never judged on photos, so no answer excludes any species, and it cannot tell"
            " that\n  there is no snake."
        )
    sets = rule.image.names
    few = "" if isfinite(rule.limit) else " (too few validation photos: it refuses none)"
    return (
        f"On photos like its {sets.photos:,} of validation its sets hold the true species"
        f" {sets.coverage:.0%} of the time;\n  {1 - rule.passing:.0%} of real snakes are refused,"
        f" to keep out other things{few}."
    )
