"""Tables of a bundle for the page: species, thresholds, and the prior of each country.

The browser has no danger tables, no country aliases and no smoothing of counts. Their results for
each species and each country are computed here, in float64.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.geography.countries import UNKNOWN, country_code, country_key, iso_codes
from ophis.inference.bundles.index import SELFTEST
from ophis.inference.self_test import SelfTest
from ophis.priors.bayes import BayesPrior
from ophis.priors.country_counts import CountryPrior
from ophis.priors.effect import PriorEffect
from ophis.priors.location import LocationPrior
from ophis.priors.records import FAR_KM, KERNEL_WIDTHS, NEAR_KM, RADIUS_95
from ophis.taxonomy.danger import danger, dangerous
from ophis.taxonomy.families import family
from ophis.taxonomy.important_species import important_species
from ophis.taxonomy.species_list import genus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ophis.decision.calibration import Calibration
    from ophis.inference.bundles.bundle import Bundle, Member
    from ophis.priors.prior import Prior
    from ophis.taxonomy.species_list import SpeciesList


def facts_of(bundle: Bundle) -> tuple[dict[str, Any], bytes]:
    """Return the tables of a bundle, and the prior's rows as bytes.

    The rows are little-endian float64, [rows, species]; with records of positions the last one is
    log p(s | world).
    """
    members, species = bundle.members, bundle.species
    countries, table = _countries(bundle.prior, species)
    if isinstance(bundle.prior, LocationPrior):
        table = np.concatenate([table, [np.log(bundle.prior.base.world)]])
    prior: dict[str, Any] | None = None
    if bundle.prior:
        prior = {"temperature": bundle.prior.temperature, "rows": len(table)}
        prior |= {"location": _location(bundle.prior)}
    facts = {
        "bundle": bundle.version,
        "species": _species(bundle),
        "members": [
            {
                "columns": [member.species.index(name) for name in species],
                "calibration": _calibration(member.calibration),
            }
            for member in members
        ],
        "calibration": _calibration(bundle.calibration),
        "rule": bundle.rule.as_dict() if bundle.rule else None,
        "prior": prior,
        "countries": countries,
        "images": [asdict(member.preprocessing) for member in members],
        "tta": [asdict(crop) for crop in bundle.tta],
        "selftests": [_selftest(member) for member in members],
    }
    return facts, table.astype("<f8").tobytes()


def records_of(bundle: Bundle) -> bytes:
    """Return the records of the prior as `Records.to_bytes` does; empty without records."""
    return bundle.prior.records.to_bytes() if isinstance(bundle.prior, LocationPrior) else b""


def _location(prior: Prior) -> dict[str, Any] | None:
    """Return the settings of positions, and the columns with an override by country."""
    if not isinstance(prior, LocationPrior):
        return None
    base, records = prior.base, prior.records
    countries = {key: base.columns_overridden(key) for key in map(country_key, iso_codes())}
    return {
        "world_exponent": base.settings.world_exponent,
        "records": len(records.count),
        "step": records.step,
        "near_km": NEAR_KM,
        "far_km": FAR_KM,
        "kernel_widths": KERNEL_WIDTHS,
        "radius_95": RADIUS_95,
        "overridden": {
            key: np.flatnonzero(columns).tolist()
            for key, columns in countries.items()
            if columns.any()
        },
        **vars(prior.settings),
    }


def _selftest(member: Member) -> dict[str, Any] | None:
    """Return one known photo of a network, its logits and verdict, None without a self-test."""
    path = member.model.with_name(SELFTEST)
    if not path.exists():
        return None
    test = SelfTest.read(path)
    return {
        "photo": base64.b64encode(test.photos[0]).decode(),
        "logits": test.logits[0].tolist(),
        "tolerance": test.tolerance,
        "verdict": test.verdicts[0],
    }


def _species(bundle: Bundle) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "danger": bundle.danger(name),
            "dangerous": bool(harmful),
            "genus": genus(name),
            "family": family(name),
        }
        for name, harmful in zip(bundle.species, dangerous(bundle.species), strict=True)
    ]


def _calibration(calibration: Calibration | None) -> dict[str, Any] | None:
    if calibration is None:
        return None
    return {"scale": calibration.scale.tolist(), "offset": calibration.offset.tolist()}


def _countries(
    prior: Prior | None, species: SpeciesList
) -> tuple[dict[str, dict[str, Any]], NDArray[np.float64]]:
    """Return the entry of each country key, and the distinct rows of the prior."""
    keys = dict.fromkeys([*map(country_key, iso_codes()), UNKNOWN, *_spelled(prior)])
    codes: dict[str, dict[str, Any]] = {key: {"code": country_code(key)} for key in keys}
    rows: dict[bytes, int] = {}
    if prior is None:
        return codes, np.empty((0, len(species)))
    for key, known in codes.items():
        factors, use = prior.log_factors(key)
        known |= {
            "spelling": prior.spelling(key),
            "factors": rows.setdefault(factors.astype("<f8").tobytes(), len(rows)),
            "ratios": rows.setdefault(prior.ratios(key).astype("<f8").tobytes(), len(rows)),
            "use": use,
            "overridden": prior.overridden(key),
            "of_country": PriorEffect(use, overridden=prior.overridden(key)).of_country,
        }
    return codes, np.frombuffer(b"".join(rows), "<f8").reshape(len(rows), -1)


def _spelled(prior: Prior | None) -> list[str]:
    """Return the country keys of the training table that resolve to a country."""
    base = prior.base if isinstance(prior, LocationPrior) else prior
    counts = base.counts if isinstance(base, BayesPrior) else base
    names = counts.countries if isinstance(counts, CountryPrior) else ()
    return [name for name in names if country_code(name)]


def near_facts(species: SpeciesList) -> dict[str, Any]:
    """Return the medically important species by country, as in `ophis.near`.

    Returns:
        `species`: name, WHO category or null, danger, and columns of the bundle that it is;
        `countries`: numbers of species by alpha-2 code, in the order of the list.
    """
    countries: dict[str, list[int]] = {}
    rows = []
    for number, row in enumerate(important_species()):
        columns = species.columns_of(row.keys)
        rows.append([row.species, row.category, danger(row.species), columns])
        for code in row.countries:
            countries.setdefault(code, []).append(number)
    return {"species": rows, "countries": dict(sorted(countries.items()))}


def as_json(value: Mapping[str, Any]) -> bytes:
    """Return one line of JSON; NaN and infinity raise ValueError."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()
