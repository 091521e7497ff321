"""Medically important species to expect at a place, from a table of facts and from records."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError
from ophis.geography.countries import country_code
from ophis.geography.country_names import name_in
from ophis.geography.location import place_of, read_position
from ophis.locales import read_sentences
from ophis.priors.bayes import BayesPrior
from ophis.priors.location import LocationPrior, PlacePrior
from ophis.taxonomy.danger import Danger, danger
from ophis.taxonomy.important_species import important_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ophis.geography.location import Place, Position
    from ophis.locales import Sentences
    from ophis.priors.prior import Prior

_NO_PLACE = "the place is empty or unknown; give a country or latitude,longitude"


@dataclass(frozen=True)
class NearbySpecies:
    """Dangerous species that is listed for a place or recorded near it.

    Attributes:
        species: name.
        danger: danger to people.
        category: WHO's: 1 highest, 2 secondary medical importance; None without one.
        countries: alpha-2 codes of the place's countries that it is listed for; empty for a species
            that is recorded near the place only.
        source: of category and countries; None for a species that is recorded only.
        probability: p(s | place) of the prior; None without a prior of the species.
        records: number within 100 km; None without a position, or if it was recorded nowhere.
        nearest_km: distance of the nearest record; None beyond 500 km, too.
    """

    species: str
    danger: Danger
    category: int | None = None
    countries: tuple[str, ...] = ()
    source: str | None = None
    probability: float | None = None
    records: int | None = None
    nearest_km: int | None = None


@dataclass(frozen=True)
class NearbySnakes:
    """Dangerous species to expect at a place; not a complete list.

    Attributes:
        countries: alpha-2 codes of the place, the most probable first.
        species: those recorded within 100 km first, by probability; then by category and name.
        records: of all species within 100 km; None without records or without a position.
        language: of `lines`.
    """

    countries: tuple[str, ...]
    species: tuple[NearbySpecies, ...]
    records: int | None = None
    language: str = "en"

    def __iter__(self) -> Iterator[NearbySpecies]:
        return iter(self.species)

    def __len__(self) -> int:
        return len(self.species)

    @property
    def lines(self) -> tuple[str, ...]:
        """Sentences: places and records, the caution about the list, the advice after a bite."""
        words = read_sentences(self.language)
        named = ", ".join(name_in(code, words.language) for code in self.countries)
        return (
            _heading(words, named, listed=bool(self.species)),
            *self._records(words),
            words.text("near", "incomplete"),
            words.text("advice", "emergency"),
        )

    def _records(self, words: Sentences) -> tuple[str, ...]:
        if self.records is None:
            return ()
        return (words.text("records", "total", number=f"{self.records:,}"),)

    def as_dict(self) -> dict[str, Any]:
        """Return the values as JSON has them; the position is not among them."""
        values = asdict(self)
        return values | {"lines": list(self.lines)}


def _heading(words: Sentences, named: str, *, listed: bool) -> str:
    if not named:
        return words.text("near", "no_country")
    return words.text("near", "heading" if listed else "none", countries=named)


def near(
    place: str | tuple[float, float] | Position,
    *,
    prior: Prior | None = None,
    language: str = "en",
) -> NearbySnakes:
    """Return the medically important species to expect at a place.

    They are those of the built-in table for the country, or for the countries around a position;
    and with records, the venomous species of the prior that were recorded within 100 km.

    Args:
        place: a country by name or ISO code; or a position: `Position`, (latitude, longitude), or
            text such as "6.9,79.9".
        prior: gives probabilities; fitted with occurrences, numbers and distances of records, too.
        language: of the sentences.

    Raises:
        InputError: an unknown country or language, or a position that cannot be read; the message
            does not repeat the position.

    >>> [row.species for row in near("Sri Lanka")][:3]
    ['Bungarus caeruleus', 'Daboia russelii', 'Echis carinatus']
    """
    read_sentences(language)
    where = _place(place)
    codes = tuple(code for code in map(country_code, where.weights) if code)
    rows = [
        NearbySpecies(
            row.species,
            danger(row.species),
            row.category,
            tuple(code for code in codes if code in row.countries),
            row.source,
        )
        for row in important_in(codes)
    ]
    if prior is None:
        return NearbySnakes(codes, tuple(rows), language=language)
    return _with_prior(NearbySnakes(codes, tuple(rows), language=language), prior, where)


def _place(place: object) -> Place:
    """Return the place of a country or a position."""
    if not isinstance(place, str):
        if place is None:
            raise InputError(_NO_PLACE)
        return place_of(None, at=place)  # ty: ignore[invalid-argument-type] - checked there
    # A country may be written by its number: 404 is Kenya.
    if any(letter.isdigit() for letter in place) and not place.strip().isdigit():
        return place_of(None, at=read_position(place))
    found = place_of(place)
    if country_code(found.country) is None:
        raise InputError(_NO_PLACE)
    return found


def _with_prior(listed: NearbySnakes, prior: Prior, place: Place) -> NearbySnakes:
    """Add probabilities, records and the further species that are recorded."""
    keys = {row.species: row.keys for row in important_in(listed.countries)}
    found, probability = prior.nearby(place), _probability(prior, place)
    used: set[int] = set()

    def filled(row: NearbySpecies, of: list[int]) -> NearbySpecies:
        """Return a row with the numbers of its columns."""
        if not of:
            return row
        used.update(of)
        nearest = float(found.nearest_km[of].min()) if found else np.inf
        return replace(
            row,
            probability=None if probability is None else float(probability[of].sum()),
            records=int(found.records[of].sum()) if found and found.known[of].any() else None,
            nearest_km=round(nearest) if np.isfinite(nearest) else None,
        )

    rows = [filled(row, prior.species.columns_of(keys[row.species])) for row in listed]
    for column in np.flatnonzero(found.records) if found else ():
        name = prior.species[int(column)]
        if column not in used and danger(name) is Danger.VENOMOUS:
            rows.append(filled(NearbySpecies(name, Danger.VENOMOUS), [int(column)]))
    rows.sort(key=lambda row: -(row.probability or 0.0) if row.records else 1.0)
    return replace(listed, species=tuple(rows), records=found.total if found else None)


def _probability(prior: Prior, place: Place) -> NDArray[np.float64] | None:
    """Return p(s | place), [species]; None for a prior without it."""
    here = prior.at(place)
    if isinstance(here, PlacePrior):
        return here.probability
    base = prior.base if isinstance(prior, LocationPrior) else prior
    if not isinstance(base, BayesPrior) or not place.weights:
        return None
    return base.mean_probability(place.weights)
