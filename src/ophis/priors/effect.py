"""Effect of a place on an answer: basis of the prior's factors, and contradictions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PriorUse(StrEnum):
    """Basis of the factors for a country; its sentences are in `locales`."""

    APPLIED = "applied"
    UNKNOWN = "unknown"
    UNSEEN = "unseen"
    EXCLUDED = "excluded"
    WEIGHED = "weighed"
    CONTINENT = "continent"
    WORLD = "world"
    PLACE = "place"
    LISTED = "listed"
    UNLISTED = "unlisted"
    NO_COUNTRY = "no country"
    NO_PRIOR = "no prior"


# The factors rest on data of the country itself.
_OF_COUNTRY = frozenset({PriorUse.APPLIED, PriorUse.WEIGHED, PriorUse.LISTED})


@dataclass(frozen=True)
class PriorEffect:
    """Effect of the place on an answer.

    Attributes:
        use: basis of the factors.
        contradicts: True if the photo shows species that are improbable at the place.
        overridden: True if prior overrides for the country apply.
        records: records of all species within 100 km of the position; None without a position or
            without records.
    """

    use: PriorUse
    contradicts: bool = False
    overridden: bool = False
    records: int | None = None

    @property
    def of_country(self) -> bool:
        """True if the factors rest on data of the country itself, without overrides."""
        return self.use in _OF_COUNTRY and not self.overridden
