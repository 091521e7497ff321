"""What the country says of the species: p(species | country), and its product with the image."""

from __future__ import annotations

import json
import tomllib
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ophis.errors import InputError
from ophis.files import whole_file
from ophis.places import UNKNOWN, country_code, country_key, same_country
from ophis.scores import log_probabilities
from ophis.taxa import SpeciesList, require_same_species

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ophis.manifest import Manifest
    from ophis.scores import Scores

# Below this, a photo is as much rarer from the country than from anywhere: worth a word.
CONTRADICTION = 0.05
_COLUMNS = ["species", "country", "photos"]
_MOST_PHOTOS = 2**53  # up to here float64 counts them exactly


class PriorUse(StrEnum):
    """What of a country made its factors; the words for it are in `words`."""

    APPLIED = "applied"
    UNKNOWN = "unknown"
    UNSEEN = "unseen"
    EXCLUDED = "excluded"
    WEIGHED = "weighed"
    CONTINENT = "continent"
    WORLD = "world"
    LISTED = "listed"
    UNLISTED = "unlisted"
    NO_COUNTRY = "no country"
    NO_PRIOR = "no prior"


@dataclass(frozen=True)
class PriorEffect:
    """What the country did to an answer.

    Attributes:
        use: what its factors were made of.
        contradicts: whether the photo looks like species that are hardly expected there.
        ruled: whether a person's rules for the country count in it.
    """

    use: PriorUse
    contradicts: bool = False
    ruled: bool = False


@dataclass(frozen=True, eq=False)
class Prior(ABC):
    """What a country says of the species; in front of it no model is seen.

    Attributes:
        species: the columns.
    """

    species: SpeciesList

    @abstractmethod
    def log_factors(self, country: str) -> tuple[NDArray[np.float64], PriorUse]:
        """What is added to the log-probabilities of a photo from a country: [species].

        Args:
            country: a key, as `places.country_key` writes it.
        """

    @abstractmethod
    def ratios(self, country: str) -> NDArray[np.float64]:
        """How much likelier each species is in a country than anywhere, [species].

        Of a species of which the prior cannot tell, and of a country that is not known: 1.

        Args:
            country: a key.
        """

    def ruled(self, country: str) -> bool:  # noqa: ARG002 - for the priors that have rules
        """Whether a person's rules for a country count in its factors."""
        return False

    def factors_of(
        self, countries: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
        """`log_factors` of each photo's country, [photos, species], and their use, [photos]."""
        names, rows = np.unique(np.array(countries, dtype=object), return_inverse=True)
        found = [self.log_factors(name) for name in names]
        factors = np.array([factors for factors, _ in found]).reshape(-1, len(self.species))
        return factors[rows], np.array([use for _, use in found], dtype=object)[rows]

    @abstractmethod
    def what_it_is(self) -> str:
        """The prior in a few words, for the card of a bundle."""

    @abstractmethod
    def write(self, path: str | Path) -> Path:
        """Write the prior so that `read_prior` reads it back."""

    @property
    def temperature(self) -> float:
        """What the logits of the image are divided with before the country is heard."""
        return 1.0

    def spelling(self, country: str) -> str:
        """A country's key as this prior knows it."""
        return country

    def merged(self) -> list[tuple[str, ...]]:
        """Names that mean one country and are counted together; none where nothing is counted."""
        return []

    def adjust(self, scores: Scores) -> Scores:
        """Multiply by the factors and normalise over the species; see `adjust_with_effect`."""
        return self.adjust_with_effect(scores)[0]

    def adjust_with_effect(self, scores: Scores) -> tuple[Scores, tuple[PriorEffect, ...]]:
        """Multiply, normalise, and say for each photo what the country did.

        Where the product is zero for every species, the image's own probabilities stand: never
        NaN, never an empty answer.

        Returns:
            Scores whose logits are float64, -inf where a factor is zero, and for each photo what
            the country did.

        Raises:
            InputError: when the species of the scores are not those of the prior, in order.
        """
        self.require_species(scores)
        image = scores.logits / np.float64(self.temperature)
        joint, use = self.factors_of(scores.countries)
        joint += image  # a constant a photo, such as what normalises the image, changes nothing
        excluded = np.isneginf(joint.max(axis=1, initial=-np.inf))
        joint[excluded] = image[excluded]
        use[excluded] = PriorUse.EXCLUDED
        contradicts = self.likelihood(image, scores.countries) < CONTRADICTION
        ruled = {country: self.ruled(country) for country in set(scores.countries)}
        effects = (
            PriorEffect(kind, bool(odd), ruled[country])
            for kind, odd, country in zip(use, contradicts, scores.countries, strict=True)
        )
        return replace(scores, logits=joint), tuple(effects)

    def require_species(self, scores: Scores) -> None:
        """Refuse scores whose species are not those of the prior, in order.

        Raises:
            InputError: naming the first species that differs.
        """
        require_same_species(
            scores.species,
            self.species,
            names=("the scores", "the prior"),
            mend="fit the prior with the species of the scores",
        )

    def likelihood(
        self, image: NDArray[np.float64], countries: tuple[str, ...]
    ) -> NDArray[np.float64]:
        """How much likelier each photo is from its country than from anywhere, [photos].

        p(x | c) / p(x), which is the sum over species of p(s | x) times the `ratios`. Below
        `CONTRADICTION` photo and country do not fit together.

        Args:
            image: logits from the image alone, [photos, species].
            countries: of the photos.
        """
        names, rows = np.unique(np.array(countries, dtype=object), return_inverse=True)
        ratios = np.reshape([self.ratios(name) for name in names], (-1, len(self.species)))
        return np.einsum("ps,ps->p", np.exp(log_probabilities(image)), ratios[rows])


@dataclass(frozen=True, eq=False)
class CountryPrior(Prior):
    """The paper's prior: counts of training photos by country and species (its Eq. 1).

    Attributes:
        species: the columns.
        countries: the rows, as `places.country_key` writes them; UNKNOWN is one of them
            (paper, section 6).
        counts: [countries, species], int64, t_sc: training photos of the species there.

    Raises:
        InputError: when a count is below 0, a country stands twice or has no photo, or there is
            none.
    """

    countries: tuple[str, ...]
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.counts.shape != (len(self.countries), len(self.species)):
            raise InputError(
                f"prior: counts have shape {self.counts.shape}, but there are"
                f" {len(self.countries)} countries and {len(self.species)} species"
            )
        if not self.countries:
            raise InputError(
                "there is no photo of any species; a prior counts those whose species is known"
            )
        if len(self._rows) < len(self.countries):
            twice = next(name for name in self.countries if self.countries.count(name) > 1)
            raise InputError(f"prior: country {twice!r} stands twice; add its counts up")
        if not (self.counts >= 0).all():
            row, column = np.argwhere(~(self.counts >= 0))[0]
            raise InputError(
                f"prior: {self.countries[row]!r} has {self.counts[row, column]} photos of"
                f" {self.species[int(column)]!r}; a count should not be below 0"
            )
        if (self.counts.sum(axis=1) <= 0).any():
            raise InputError("prior: a country without a training photo has no probabilities")

    @classmethod
    def fit(cls, manifest: Manifest, *, species: SpeciesList | None = None) -> CountryPrior:
        """Count the photos of each species in each country.

        Args:
            manifest: the training photos; unlabelled ones do not count.
            species: the columns wanted; by default those of the manifest.

        Raises:
            InputError: when the manifest holds a species that the list does not, or none at all.
        """
        return cls.from_counts(manifest.counts(), species or manifest.species_list())

    @classmethod
    def from_counts(cls, counts: pl.DataFrame, species: SpeciesList) -> CountryPrior:
        """From a table `species, country, photos`; a pair that stands twice is summed.

        Raises:
            InputError: when a species is not in the list, or there are no photos or too many.
        """
        counts = counts.filter(pl.col("photos") > 0)
        if not len(counts):
            raise InputError(
                "there is no photo of any species; a prior counts those whose species is known"
            )
        if (photos := counts["photos"].cast(pl.Float64).sum()) > _MOST_PHOTOS:
            raise InputError(f"{photos:.3g} photos are more than can be counted; mend `photos`")
        names = counts["species"].unique(maintain_order=True)
        column = pl.Series([species.index(name) for name in names], dtype=pl.Int64)
        countries = sorted(counts["country"].unique())
        matrix = np.zeros((len(countries), len(species)), np.int64)
        rows = counts["country"].replace_strict(countries, np.arange(len(countries)))
        columns = counts["species"].replace_strict(names, column)
        np.add.at(matrix, (rows.to_numpy(), columns.to_numpy()), counts["photos"].to_numpy())
        return cls(species, tuple(countries), matrix)

    @cached_property
    def probability(self) -> NDArray[np.float64]:
        """Eq. 1: p(s | c) = t_sc / t_c, [countries, species]; each row sums to 1."""
        return self.counts / self.counts.sum(axis=1, keepdims=True)

    def species_photos(self) -> dict[str, int]:
        """Training photos of each species."""
        return dict(zip(self.species, self.counts.sum(axis=0).tolist(), strict=True))

    def row(self, country: str) -> int | None:
        """Row of a country, by its key or by its ISO code; None when training never saw it."""
        key = country_key(country)
        if key in self._rows:
            return self._rows[key]
        return self._codes.get(country_code(key))

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {country: row for row, country in enumerate(self.countries)}

    @cached_property
    def _codes(self) -> dict[str | None, int]:
        """ISO code to row; of two names of one country, the one with more photos speaks."""
        rows = np.argsort(self.counts.sum(axis=1), kind="stable")
        codes = {country_code(self.countries[row]): int(row) for row in rows}
        codes.pop(None, None)  # UNKNOWN has no code
        return codes

    def merged(self) -> list[tuple[str, ...]]:
        """Names of the table that mean one country and are counted together, in its order."""
        return same_country(self.countries)

    @cached_property
    def _together(self) -> NDArray[np.float64]:
        """`probability` with the photos of one country under all its names in each of its rows."""
        counts = self.counts.copy()
        for names in self.merged():
            rows = [self._rows[name] for name in names]
            counts[rows] = self.counts[rows].sum(axis=0)
        return counts / counts.sum(axis=1, keepdims=True)

    def what_it_is(self) -> str:
        """The prior in a few words."""
        return f"{PriorUse.APPLIED} (the paper's Eq. 2), {len(self.countries)} countries"

    def spelling(self, country: str) -> str:
        """The name that stands in the training table: "australia" of "au"."""
        row = self.row(country)
        return country if row is None else self.countries[row]

    def log_factors(self, country: str) -> tuple[NDArray[np.float64], PriorUse]:
        """Eq. 2: log p(s | c), under all names of c; 0 for a country that training never saw."""
        row, known = self.row(country), country_key(country) != UNKNOWN
        if row is None:
            return np.zeros(len(self.species)), PriorUse.UNSEEN if known else PriorUse.NO_COUNTRY
        with np.errstate(divide="ignore"):  # log 0 is -inf, and that is what is meant
            return np.log(self._together[row]), PriorUse.APPLIED if known else PriorUse.UNKNOWN

    def ratios(self, country: str) -> NDArray[np.float64]:
        """p(s | c) / p(s) of the training photos; 1 for a species that has none."""
        row, anywhere = self.row(country), self.counts.sum(axis=0) / self.counts.sum()
        ones = np.ones(len(self.species))
        if row is None or country_key(country) == UNKNOWN:
            return ones
        return np.divide(self._together[row], anywhere, out=ones, where=anywhere > 0)

    def write(self, path: str | Path) -> Path:
        """Write the counts above zero as CSV `species,country,photos`, whole or not at all."""
        path = Path(path)
        rows, columns = np.nonzero(self.counts)
        table = pl.DataFrame(
            {
                "species": [self.species[c] for c in columns],
                "country": [self.countries[r] for r in rows],
                "photos": self.counts[rows, columns],
            }
        )
        with whole_file(path) as temporary:
            table.write_csv(temporary)
        return path


def read_prior(path: str | Path, species: SpeciesList | None = None) -> Prior:
    """Read a prior: .csv is the paper's, .toml one with its smoothing (`bayes.BayesPrior`).

    Args:
        path: what a prior's `write` wrote.
        species: the columns and their order; by default the sorted species of the counts.

    Raises:
        InputError: naming the file and what is wrong in it.
    """
    path = Path(path)
    return _read_settings(path, species) if path.suffix == ".toml" else read_counts(path, species)


def _read_settings(path: Path, species: SpeciesList | None) -> Prior:
    """The prior that a TOML file describes; its tables lie beside it."""
    from ophis.bayes import Settings, bayes_prior  # noqa: PLC0415 - both are built on this module
    from ophis.presence import presence_prior  # noqa: PLC0415

    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such prior") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as TOML: {error}") from None
    kind = settings.pop("kind", None)
    kinds = {
        "bayes": (bayes_prior, {field.name for field in fields(Settings)} | {"presence", "rules"}),
        "presence": (presence_prior, {"absent"}),
    }
    if kind not in kinds:
        raise InputError(f"{path}: kind = {kind!r} should be one of {sorted(kinds)}")
    make, keys = kinds[kind]
    if odd := sorted(settings.keys() ^ keys):
        raise InputError(
            f"{path}: key {odd[0]!r} is missing or not known; a {kind} prior has {sorted(keys)}"
        )
    for name, value in settings.items():
        wanted = bool if name in ("presence", "rules") else float
        if not isinstance(value, wanted):
            raise InputError(f"{path}: {name} = {value!r} should be a {wanted.__name__}, as in 1.0")
    try:
        return make(path, settings, species)
    except InputError as error:  # those of tables beside it name their file themselves
        told = str(error)
        raise InputError(told if told.startswith(str(path.parent)) else f"{path}: {told}") from None


def write_settings(path: Path, settings: Mapping[str, str | float | bool]) -> Path:
    """Write the TOML file of a prior.

    Raises:
        InputError: when the name does not end in .toml, or the place cannot be written.
    """
    if path.suffix != ".toml":
        raise InputError(f"{path}: such a prior is written as .toml, with its tables beside it")
    with whole_file(path) as temporary:
        # Numbers, true and false, and plain words are written alike in JSON and TOML.
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in settings.items()]
        temporary.write_text("".join(lines), encoding="utf-8")
    return path


def part_of(path: Path, what: str) -> Path:
    """The table of a part: prior_presence.csv beside prior.toml."""
    return path.with_name(f"{path.stem}_{what}.csv")


def read_counts(path: str | Path, species: SpeciesList | None = None) -> CountryPrior:
    """Read what `CountryPrior.write` wrote; ``species`` gives the columns and their order.

    Raises:
        InputError: naming the file and what is wrong in it.
    """
    try:
        table = pl.read_csv(path, infer_schema=False, empty_string_is_null=False)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such prior") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}") from None
    if table.columns != _COLUMNS:
        raise InputError(f"{path}: columns should be {','.join(_COLUMNS)}, not {table.columns}")
    photos = table["photos"].cast(pl.Int64, strict=False)
    wrong = ~photos.is_between(0, _MOST_PHOTOS).fill_null(value=False)
    if wrong.any():
        row = int(wrong.arg_true()[0])
        raise InputError(
            f"{path}, row {row + 2}: photos = {table['photos'][row]!r} should be a whole number"
            f" from 0 to {_MOST_PHOTOS:,}"
        )
    table = table.with_columns(photos)
    try:
        return CountryPrior.from_counts(
            table, species or SpeciesList(tuple(sorted(table["species"].unique())))
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
