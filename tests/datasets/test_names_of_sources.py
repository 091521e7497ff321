"""Names of species in every reader: one spelling of what looks the same, and no numbers."""

import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ophis import InputError, Scores, SpeciesList, read_manifest, read_prior, read_scores
from ophis.challenges.submission import read_class_ids, read_species
from ophis.challenges.submission_scores import read_submissions
from ophis.datasets.renaming import read_synonyms
from ophis.priors.overrides import read_overrides
from ophis.priors.range_maps import read_range_map
from ophis.taxonomy.danger import read_medical_importance
from ophis.taxonomy.species_list import species_key

META = (
    '<archive><core rowType="x/Occurrence"><files><location>o.csv</location></files>'
    '<id index="0"/><field index="1" term="x/scientificName"/>'
    '<field index="2" term="x/associatedMedia"/></core></archive>'
)


def table(name: str, text: str) -> Callable[[Path, str], Path]:
    def write(folder: Path, species: str) -> Path:
        (folder / name).write_text(text.replace("SPECIES", species), encoding="utf-8")
        return folder / name

    return write


def parquet(folder: Path, species: str) -> Path:
    """Write whole numbers as such."""
    values = [int(species)] if species.isdigit() else [species]
    pl.DataFrame({"photo": ["a.jpg"], "species": values}).write_parquet(folder / "m.parquet")
    return folder / "m.parquet"


def subfolder(folder: Path, species: str) -> Path:
    (folder / "photos" / species).mkdir(parents=True)
    (folder / "photos" / species / "a.jpg").touch()
    return folder / "photos"


def darwin_core(folder: Path, species: str) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("meta.xml", META)
        archive.writestr("o.csv", f"7,{species} naja,1.jpg\n")
    return folder / "a.zip"


def scores(folder: Path, species: str) -> Path:
    """Write a scores file as another program may."""
    made = Scores(np.zeros((1, 1)), SpeciesList(("x",)), ("a",), np.array([0]), ("",), ("a",))
    object.__setattr__(made.species, "names", (species,))
    return made.write(folder / "s.npz")


def first_species(path: Path) -> str:
    return read_manifest(path).table["species"][0]


def submitted(path: Path) -> str:
    (one,) = read_submissions([path], path)
    return one.species[0]


READERS: dict[str, tuple[Callable[[Path, str], Path], Callable[[Path], str]]] = {
    "csv": (table("m.csv", "photo,species\na.jpg,SPECIES\n"), first_species),
    "jsonl": (table("m.jsonl", '{"photo": "a.jpg", "species": "SPECIES"}\n'), first_species),
    "label": (table("m.csv", "file_name,label\na.jpg,SPECIES\n"), first_species),
    "parquet": (parquet, first_species),
    "folder": (subfolder, first_species),
    "2020": (table("m.csv", "hashed_id,scientific_name,country\na,SPECIES,\n"), first_species),
    "2021": (
        table("m.csv", "binomial,country,UUID,image_path\nSPECIES,,a,a.jpg\n"),
        first_species,
    ),
    "2022": (
        table("m.csv", "observation_id,image_path,binomial_name\n1,a.jpg,SPECIES\n"),
        first_species,
    ),
    "inaturalist": (
        table("m.csv", "id,scientific_name,taxon_id\n1,SPECIES naja,1\n"),
        lambda path: first_species(path).removesuffix(" naja"),
    ),
    "darwin core": (darwin_core, lambda path: first_species(path).removesuffix(" naja")),
    "species list": (table("s.csv", "species\nSPECIES\n"), lambda p: SpeciesList.read(p)[0]),
    "challenge list": (table("s.csv", "species\nSPECIES\n"), lambda p: read_species(p)[0]),
    "scores": (scores, lambda path: read_scores(path).species[0]),
    "prior": (
        table("p.csv", "species,country,photos\nSPECIES,kenya,3\n"),
        lambda path: read_prior(path).species[0],
    ),
    "overrides": (
        table("o.csv", "country,species,probability\nkenya,SPECIES,0\n"),
        lambda path: read_overrides(path)[0].species,
    ),
    "range map": (
        table("r.csv", "species,Kenya\nSPECIES,1\n"),
        lambda path: next(iter(read_range_map(path).places)),
    ),
    "danger": (
        table("d.csv", "species,mivs\nSPECIES,1\n"),
        lambda path: next(iter(read_medical_importance(path).rows)),
    ),
    "classes": (
        table("c.csv", "species,class_id\nSPECIES,1\n"),
        lambda path: next(iter(read_class_ids(path))),
    ),
    "synonyms": (
        table("n.csv", "name,accepted\nAus,SPECIES\n"),
        lambda path: next(iter(read_synonyms(path).values())),
    ),
    "submission": (table("e.csv", "photo_id,species\n1,SPECIES\n"), submitted),
}
# Nobody can correct these; a number there is no species, but the name of something above.
PUBLISHED = ("inaturalist", "darwin core")
OWN = sorted(READERS.keys() - set(PUBLISHED))


@pytest.mark.parametrize("reader", OWN)
def test_species_that_is_a_number_is_refused_everywhere(tmp_path, reader):
    write, read = READERS[reader]
    with pytest.raises(InputError, match="species '17' is a number; write the species' name"):
        read(write(tmp_path, "17"))


@pytest.mark.parametrize("reader", OWN)
def test_look_alike_letter_is_refused_everywhere(tmp_path, reader):
    write, read = READERS[reader]
    with pytest.raises(InputError, match=r"U\+0430 CYRILLIC SMALL LETTER A, which looks") as error:
        read(write(tmp_path, "N\u0430ja"))
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("reader", PUBLISHED)
def test_look_alike_letter_of_published_table_is_reported(tmp_path, caplog, reader):
    write, _ = READERS[reader]
    assert list(read_manifest(write(tmp_path, "N\u0430ja")).table["species"]) == [None]
    (line,) = [text for text in caplog.messages if "U+0430 CYRILLIC SMALL LETTER A" in text]
    assert "of 1 row is not known (first: " in line


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_invisible_letters_and_forms_make_no_other_species(tmp_path, reader, form):
    write, read = READERS[reader]
    found = read(
        write(tmp_path, unicodedata.normalize(form, "Vi\u200bp\u00e8\u00adre\u00a0\u2009x\ufeff"))
    )
    assert species_key(found) == "vip\u00e8re x"


def test_ids_are_normalised_and_paths_are_not(tmp_path):
    nfd = unicodedata.normalize("NFD", "S\u00e3o/\u00e9.jpg")
    (tmp_path / nfd).parent.mkdir()
    (tmp_path / nfd).touch()
    rows = [f"{nfd},Boa,e\u0301\u200b", "b.jpg,Boa,\u00e9"]
    (tmp_path / "m.csv").write_text("\n".join(["photo,species,observation", *rows]), "utf-8")
    manifest = read_manifest(tmp_path / "m.csv")
    assert list(manifest.table["photo_id"]) == ["S\u00e3o/\u00e9.jpg", "b.jpg"]
    assert list(manifest.table["observation"]) == ["\u00e9", "\u00e9"]
    assert manifest.paths()[0].is_file()
