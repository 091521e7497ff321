"""Command near, and its list on wide and narrow terminals."""

import io
import json

import numpy as np
import polars as pl
import pytest
from rich.cells import cell_len
from rich.console import Console

from ophis import CountryPrior, SpeciesList, near
from ophis.cli.terminal import nearby, tables
from ophis.geography.location import Position
from ophis.locales import languages, read_sentences
from ophis.priors.bayes import BayesPrior
from ophis.priors.location import LocationPrior
from ophis.priors.records import Records
from tests.support.commands import refused_here, run_here
from tests.support.made_bundle import write_made_bundle

HERE = Position(27.0, 84.8667)  # on the border of Nepal and India
SPECIES = SpeciesList(("Naja naja", "Daboia russelii", "Ahaetulla nasuta"))


def located() -> LocationPrior:
    table = pl.DataFrame({"species": list(SPECIES), "country": "nepal", "photos": 5})
    records = Records.of(
        SPECIES,
        latitude=HERE.latitude + np.array([0.1, 0.2, 0.3]),
        longitude=np.full(3, HERE.longitude),
        column=np.array([0, 0, 2]),
    )
    return LocationPrior(BayesPrior(CountryPrior.from_counts(table, SPECIES)), records)


def printed(monkeypatch, found, *, width: int) -> list[str]:
    out = io.StringIO()
    for module in (tables, nearby):
        monkeypatch.setattr(module, "console", lambda: Console(file=out, width=width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    nearby.print_near(found)
    assert all(cell_len(line) <= width for line in out.getvalue().splitlines())
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_list_of_a_country_ends_with_the_caution_and_the_advice(capsys):
    lines = run_here(capsys, "near", "Sri Lanka").splitlines()
    words = read_sentences()
    assert lines[0] == words.text("near", "heading", countries="Sri Lanka")
    assert lines[1].split() == ["species", "danger,", "WHO", "source"]
    assert lines[2].split() == ["Bungarus", "caeruleus", "venomous,", "1", "1"]
    assert "1  WHO 2017 Annex 1 (category); The Reptile Database (countries)" in lines
    assert lines[-2:] == [words.text("near", "incomplete"), words.text("advice", "emergency")]


def test_json_is_that_of_the_function(capsys):
    assert json.loads(
        run_here(capsys, "near", "LK", "--json", "--language", "pt-BR")
    ) == json.loads(json.dumps(near("LK", language="pt-BR").as_dict()))


def test_positions_south_of_the_equator_are_no_options(capsys):
    for text in ("-1.29,36.8", "-1.29,-36.8", "-33.9,18.4,50"):
        assert text.split(",", maxsplit=1)[0] not in run_here(capsys, "near", text)


def test_prior_file_and_bundle_give_records(tmp_path, capsys):
    prior = located()
    place = f"{HERE.latitude},{HERE.longitude}"
    file = prior.write(tmp_path / "places.toml")
    bundle = write_made_bundle(tmp_path / "bundle", SPECIES, prior=prior)
    for given in (file, bundle):
        (naja,) = [
            line for line in run_here(capsys, "near", place, "--prior", given).splitlines()
            if line.startswith("Naja naja ")
        ]  # fmt: skip
        assert naja.split()[2:4] == ["venomous,", "1"]
        assert naja.split()[-4:-1] == ["2", "11", "km"]
    values = json.loads(run_here(capsys, "near", place, "--prior", file, "--json"))
    assert values["records"] == 3
    assert values["species"][0]["records"] == 2


def test_bad_places_and_priors_are_one_line(tmp_path, capsys):
    assert "did you mean Kenya?" in refused_here(capsys, "near", "Kneya")
    assert "latitude" in refused_here(capsys, "near", "91,2")
    assert "no sentences in language" in refused_here(capsys, "near", "Kenya", "--language", "tlh")
    missing = tmp_path / "none.toml"
    assert str(missing) in refused_here(capsys, "near", "Kenya", "--prior", missing)
    bundle = write_made_bundle(tmp_path / "bundle", SPECIES)
    line = refused_here(capsys, "near", "Kenya", "--prior", bundle)
    assert f"{bundle}: this bundle has no prior; leave --prior out" in line


@pytest.mark.parametrize("width", [40, 60, 80, 160])
@pytest.mark.parametrize("language", languages())
def test_nothing_is_truncated(monkeypatch, width, language):
    for found in (near("Kenya", language=language),
                  near(HERE, prior=located(), language=language)):  # fmt: skip
        text = " ".join(" ".join(printed(monkeypatch, found, width=width)).split())
        assert "…" not in text
        for row in found:
            assert row.species in text


@pytest.mark.parametrize("language", [name for name in languages() if name != "hi"])
def test_the_list_is_a_table_at_80_columns(monkeypatch, language):
    found = [near(place, language=language) for place in ("LK", "BR", "MX", "AU", HERE)]
    found.append(near(HERE, prior=located(), language=language))
    for one in found:
        lines = printed(monkeypatch, one, width=80)
        rows = [line for line in lines if line.startswith(tuple(row.species for row in one))]
        assert len(rows) == len(one)
