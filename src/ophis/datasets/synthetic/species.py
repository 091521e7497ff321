"""Invented species of the synthetic photos: names, colours, patterns, countries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Colour = tuple[int, int, int]  # red, green, blue in [0, 255]


class Pattern(StrEnum):
    """Pattern of the marks on the body."""

    BANDS = "bands"
    RINGS = "rings"  # bands of three colours
    BLOTCHES = "blotches"
    DIAMONDS = "diamonds"
    STRIPES = "stripes"
    PLAIN = "plain"


@dataclass(frozen=True, kw_only=True)
class SyntheticSpecies:
    """Invented species. Lengths are in body widths."""

    name: str
    pattern: Pattern
    base: Colour
    mark: Colour
    edge: Colour  # of a mark; of rings the third colour
    head: Colour
    length: float
    period: float  # from one mark to the next
    duty: float  # fraction of the period, or of the back, that a mark covers
    head_width: float
    gloss: float  # in [0, 1]
    countries: Mapping[str, float]  # country name -> fraction of the species' snakes
    brow: bool = False  # a dark line behind the eye


# Most frequent first. Three pairs are nearly alike and share no country: red-ringed and
# scarlet-ringed, sand-diamond and dust-diamond, rust-blotched and chestnut-blotched. Only a country
# prior separates them well.
SPECIES = (
    SyntheticSpecies(
        name="Synthetic rust-blotched snake",
        pattern=Pattern.BLOTCHES,
        base=(196, 160, 112),
        mark=(134, 66, 34),
        edge=(62, 34, 22),
        head=(168, 112, 70),
        length=25.1,
        period=1.75,
        duty=0.62,
        head_width=0.86,
        gloss=0.30,
        countries={"Kenya": 0.55, "South Africa": 0.45},
    ),
    SyntheticSpecies(
        name="Synthetic sand-diamond snake",
        pattern=Pattern.DIAMONDS,
        base=(192, 170, 132),
        mark=(112, 84, 58),
        edge=(232, 216, 180),
        head=(164, 138, 104),
        length=19.1,
        period=1.45,
        duty=0.80,
        head_width=1.06,
        gloss=0.10,
        countries={"Mexico": 0.75, "Brazil": 0.25},
        brow=True,
    ),
    SyntheticSpecies(
        name="Synthetic yellow-banded snake",
        pattern=Pattern.BANDS,
        base=(222, 184, 62),
        mark=(26, 24, 26),
        edge=(222, 184, 62),
        head=(34, 32, 32),
        length=26.4,
        period=1.55,
        duty=0.54,
        head_width=0.74,
        gloss=0.62,
        countries={"India": 0.55, "Thailand": 0.45},
    ),
    SyntheticSpecies(
        name="Synthetic leaf-green snake",
        pattern=Pattern.PLAIN,
        base=(94, 156, 54),
        mark=(176, 196, 92),
        edge=(60, 110, 40),
        head=(84, 148, 52),
        length=30.4,
        period=2.0,
        duty=0.30,
        head_width=0.90,
        gloss=0.34,
        countries={"Thailand": 0.45, "Brazil": 0.30, "India": 0.25},
        brow=True,
    ),
    SyntheticSpecies(
        name="Synthetic red-ringed snake",
        pattern=Pattern.RINGS,
        base=(192, 42, 32),
        mark=(22, 20, 22),
        edge=(232, 208, 92),
        head=(28, 26, 26),
        length=26.4,
        period=2.50,
        duty=0.28,
        head_width=0.72,
        gloss=0.58,
        countries={"Mexico": 1.0},
    ),
    SyntheticSpecies(
        name="Synthetic earth-brown snake",
        pattern=Pattern.PLAIN,
        base=(118, 86, 56),
        mark=(164, 130, 92),
        edge=(88, 62, 42),
        head=(124, 92, 62),
        length=27.7,
        period=2.0,
        duty=0.30,
        head_width=0.78,
        gloss=0.40,
        countries={"Australia": 0.80, "Spain": 0.20},
    ),
    SyntheticSpecies(
        name="Synthetic dust-diamond snake",
        pattern=Pattern.DIAMONDS,
        base=(196, 166, 126),
        mark=(130, 80, 52),
        edge=(228, 210, 172),
        head=(168, 136, 102),
        length=18.5,
        period=1.55,
        duty=0.70,
        head_width=1.04,
        gloss=0.10,
        countries={"Kenya": 0.45, "Australia": 0.55},
        brow=True,
    ),
    SyntheticSpecies(
        name="Synthetic gold-striped snake",
        pattern=Pattern.STRIPES,
        base=(58, 56, 40),
        mark=(214, 178, 74),
        edge=(24, 22, 18),
        head=(74, 70, 46),
        length=29.0,
        period=3.0,
        duty=0.24,
        head_width=0.80,
        gloss=0.38,
        countries={"Spain": 0.50, "South Africa": 0.30, "India": 0.20},
    ),
    SyntheticSpecies(
        name="Synthetic scarlet-ringed snake",
        pattern=Pattern.RINGS,
        base=(202, 50, 34),
        mark=(24, 22, 22),
        edge=(234, 216, 118),
        head=(30, 28, 28),
        length=27.7,
        period=2.35,
        duty=0.33,
        head_width=0.72,
        gloss=0.58,
        countries={"Brazil": 1.0},
    ),
    SyntheticSpecies(
        name="Synthetic white-banded snake",
        pattern=Pattern.BANDS,
        base=(44, 44, 54),
        mark=(222, 220, 208),
        edge=(44, 44, 54),
        head=(48, 48, 56),
        length=27.7,
        period=1.25,
        duty=0.24,
        head_width=0.74,
        gloss=0.66,
        countries={"Thailand": 0.60, "Australia": 0.40},
    ),
    SyntheticSpecies(
        name="Synthetic chestnut-blotched snake",
        pattern=Pattern.BLOTCHES,
        base=(190, 158, 114),
        mark=(126, 62, 38),
        edge=(58, 34, 24),
        head=(160, 108, 72),
        length=24.4,
        period=1.60,
        duty=0.66,
        head_width=0.88,
        gloss=0.30,
        countries={"Spain": 0.60, "India": 0.40},
    ),
    SyntheticSpecies(
        name="Synthetic blue-striped snake",
        pattern=Pattern.STRIPES,
        base=(66, 82, 98),
        mark=(122, 196, 204),
        edge=(34, 44, 58),
        head=(70, 92, 106),
        length=31.7,
        period=3.0,
        duty=0.30,
        head_width=0.78,
        gloss=0.46,
        countries={"Brazil": 0.40, "Thailand": 0.60},
    ),
)

SAMPLE_SPECIES: tuple[str, ...] = tuple(species.name for species in SPECIES)
COUNTRIES: tuple[str, ...] = tuple(sorted({name for one in SPECIES for name in one.countries}))
