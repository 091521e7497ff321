"""Decision about one photo: the most specific name that holds, and the danger verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ophis.decision.verdict import Verdict
from ophis.taxonomy.families import family
from ophis.taxonomy.species_list import genus

if TYPE_CHECKING:
    from collections.abc import Sequence


class State(StrEnum):
    """Rank of the name in an answer, or the reason for no name."""

    SPECIES = "species"
    GENUS = "genus"
    FAMILY = "family"
    UNIDENTIFIED = "unidentified"
    NO_SNAKE = "no snake"
    UNUSABLE = "unusable"


@dataclass(frozen=True)
class Decision:
    """Decision about one photo.

    Attributes:
        state: rank of the name.
        name: species, genus or family; None in the other states.
        species: columns of the species that are not excluded, the most probable first; empty where
            no snake is seen.
        verdict: danger verdict.
        joined: True if a country is given, but its sets are not used: the species that fit the
            image alone are not excluded.
        contradicting: True if the photos do not fit one snake: each has its own decision.
    """

    state: State
    name: str | None
    species: tuple[int, ...]
    verdict: Verdict
    joined: bool = False
    contradicting: bool = False


def no_name(state: State) -> Decision:
    """Return the decision of the state UNUSABLE or NO_SNAKE."""
    return Decision(state, None, (), Verdict.MAY_BE_VENOMOUS)


def roll_up(names: Sequence[str]) -> tuple[State, str | None]:
    """Return the lowest rank that all possible species share, and its name.

    Only genera of a known family count: the first word of "water snake" is no genus.
    """
    if len(names) == 1:
        return State.SPECIES, names[0]
    families = {family(name) for name in names}
    if len(families) == 1 and (common := families.pop()):
        genera = {genus(name) for name in names}
        return (State.GENUS, genera.pop()) if len(genera) == 1 else (State.FAMILY, common)
    return State.UNIDENTIFIED, None
