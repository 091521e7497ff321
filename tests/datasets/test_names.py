import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ophis import InputError, read_manifest
from ophis.datasets.names import (
    AS_FOUND,
    is_above_species,
    normalised,
    read_synonyms,
    scientific_name,
    with_synonyms,
)

PIECES = st.sampled_from([
    "Naja", "naja", "NAJA", "N.", "crotalus-viridis", "c-album", "(Linnaeus,", "1758)", "(Naja)",
    "Laurenti,", "L.", "&", "de", "cf.", "CF", "aff.", "sp", "spp.", "?", "x", "X", "×", "×naja",
    "subsp.", "var.", "complex", "s.l.", "snake", "d'orbignyi", "é", "İx", "ß", "_", "-", "2", ",",
])  # fmt: skip
NAMES = st.lists(PIECES, max_size=6).map(" ".join) | st.text(max_size=20)


@given(name=NAMES)
@example(name="_")
def test_a_normalised_name_stays_as_it_is(name):
    once = scientific_name(name)
    assert scientific_name(once) == once
    assert bool(once) == bool(name.strip())
    assert once == once.strip()


EPITHET = st.from_regex(r"[a-z]{3,12}", fullmatch=True).filter(
    lambda word: scientific_name(f"Genus {word}") == f"Genus {word}"
)

ENDS = st.sampled_from([
    "", " (Linnaeus, 1758)", " L.", " Baird & Girard, 1853", " dumerili", " ssp. dumerili",
    " var. dumerili (Say)",
])  # fmt: skip


@given(
    genus=st.from_regex(r"[A-Z][a-z]{3,12}", fullmatch=True).filter(is_above_species),
    epithet=EPITHET,
    end=ENDS,
    case=st.sampled_from([str, str.upper, str.lower]),
    between=st.sampled_from([" ", "  ", "_", "\u00a0"]),
)
def test_every_way_of_writing_a_species_gives_its_two_words(genus, epithet, end, case, between):
    plain = scientific_name(f"{genus} {epithet}")
    if plain != f"{genus} {epithet}":
        return  # a word like "snake" or "complex": the test below has those
    assert scientific_name(f"{genus}{between}{epithet}{end}") == plain
    assert scientific_name(case(f"{genus}{between}{epithet}")) == plain
    assert scientific_name(f"{genus}-{epithet}".lower()) == plain


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ("crotalus-viridis-viridis", "Crotalus viridis"),
        ("NAJA NAJA (LINNAEUS, 1758)", "Naja naja"),
        ("Naja Naja", "Naja naja"),
        ("Crotalus (Sistrurus) catenatus Rafinesque, 1818", "Crotalus catenatus"),
        ("Polygonia c-album", "Polygonia c-album"),
        ("Naja Laurenti, 1768", "Naja"),
        ("Naja (Laurenti)", "Naja"),
        ("Naja de Haas", "Naja"),
        ("Viperidae", "Viperidae"),
        ("Naja sp", "Naja sp."),
        ("naja SPP. 2", "Naja sp. 2"),
        ("Naja CF naja (L.)", "Naja cf. naja"),
        ("Naja aff. naja", "Naja aff. naja"),
        ("Naja naja cf. kaouthia", "Naja naja cf. kaouthia"),
        ("Naja ?naja", "Naja ?naja"),
        ("Naja nigricollis  complex", "Naja nigricollis complex"),
        ("Vipera berus/aspis", "Vipera berus/aspis"),
        ("Vipera berus or aspis", "Vipera berus or aspis"),
        ("Boa boa, Naja naja", "Boa boa, Naja naja"),
        ("Boa boa & Naja naja", "Boa boa & Naja naja"),
        ("Boa boa, B. imperator", "Boa boa, B. imperator"),
        ("Boa boa Baird and Girard in Smith, 1853", "Boa boa"),
        ("Boa boa (van Denburgh et al. 1900)", "Boa boa"),
        ("Pantherophis guttatus x P. obsoletus", "Pantherophis guttatus × Pantherophis obsoletus"),
        ("Pantherophis guttatus ×obsoletus", "Pantherophis guttatus × Pantherophis obsoletus"),
        ("pantherophis_guttatus_x_elaphe_dione", "Pantherophis guttatus × Elaphe dione"),
        ("×Aus bus", "× Aus bus"),
        ("Northern Water Snake", "Northern Water Snake"),
        ("N. naja", "N. naja"),
        ("BOLD:AAA1234", "BOLD:AAA1234"),
    ],
)
def test_names_as_sources_write_them(found, name):
    assert scientific_name(found) == name


def test_what_is_not_surely_a_species_never_becomes_one():
    for word in ("cf.", "aff.", "nr.", "?", "sp."):
        assert scientific_name(f"Naja {word} naja") != "Naja naja"
    for end in ("complex", "s.l.", "x Naja nivea", "hybrid", "sensu lato", "group"):
        assert scientific_name(f"Naja naja {end}") != "Naja naja"


@pytest.mark.parametrize("name", ["Naja", "Serpentes", "Viperidae Oppel, 1811", "Naja (Laurenti)"])
def test_a_name_of_one_word_is_above_the_species(name):
    assert is_above_species(name)
    assert not is_above_species("Naja naja")
    assert not is_above_species("")


@pytest.fixture
def mixed(tmp_path):
    """Four spellings of two species, a third in one odd spelling, and one that nobody named."""
    rows = [
        "Naja naja",
        "naja-naja",
        "Naja naja (L.)",
        "Naja naja",
        "bitis_arietans",
        "Boa boa",
        "",
    ]
    lines = [f"{number}.jpg,{name}" for number, name in enumerate(rows)]
    (tmp_path / "m.csv").write_text("\n".join(["photo,species", *lines]) + "\n")
    return read_manifest(tmp_path / "m.csv")


def test_names_that_would_meet_are_said_and_stay_apart_until_somebody_says_so(mixed):
    naming = normalised(mixed)
    assert naming.changes == {"bitis_arietans": "Bitis arietans"}
    assert naming.meetings == {"Naja naja": ("Naja naja", "Naja naja (L.)", "naja-naja")}
    assert naming.photos["Naja naja"] == 2

    apart = naming.apply(mixed, merge=False)
    before, after = list(mixed.table["species"]), list(apart.table["species"])
    assert after == [*before[:4], "Bitis arietans", "Boa boa", None]
    assert list(apart.table[AS_FOUND]) == [name or "" for name in before]

    merged = naming.apply(mixed, merge=True)
    assert list(merged.table["species"]) == ["Naja naja"] * 4 + after[4:]
    assert merged.counts()["photos"].sum() == mixed.counts()["photos"].sum()


@given(names=st.lists(NAMES.map(str.strip).filter(bool), min_size=1, max_size=6, unique=True))
def test_without_a_word_no_two_names_ever_become_one(names):
    from pathlib import Path

    from ophis import Manifest

    ids = [str(number) for number in range(len(names))]
    columns = dict.fromkeys(("photo_id", "photo", "observation"), ids)
    manifest = Manifest(pl.DataFrame({**columns, "species": names, "country": ids}), Path())
    apart = normalised(manifest).apply(manifest, merge=False)
    assert apart.table["species"].n_unique() == len(names)


def test_names_that_are_all_well_leave_the_manifest_as_it_is(mixed):
    one = mixed.take(mixed.table["species"].eq("Boa boa").fill_null(value=False).to_numpy())
    assert normalised(one).apply(one, merge=True) is one


def test_synonyms_take_the_accepted_name_as_the_manifest_writes_it(mixed, tmp_path):
    (tmp_path / "s.csv").write_text(
        "name,accepted\nBoa boa Smith,BITIS ARIETANS\nElaphe x,Aus bus\n"
    )
    naming = with_synonyms(mixed, read_synonyms(tmp_path / "s.csv"))
    assert naming.meetings == {"bitis_arietans": ("Boa boa", "bitis_arietans")}
    assert list(naming.apply(mixed, merge=True).table["species"])[4:] == ["bitis_arietans"] * 2 + [
        None
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name\nBoa\n", "s.csv: column 'accepted' is missing"),
        ("name,accepted\nBoa boa,\n", "s.csv, row 2: accepted is empty"),
        ("name,accepted\nA b,C d\n\na_b,E f\n", "s.csv, row 4: 'A b' is 'C d' further up"),
        ("name,accepted\nAus bus,Cus dus\nCus dus,Eus fus\n", "row 2: 'Cus dus' is itself a syn"),
        ("name,accepted\nAus bus,\x07\n", "row 2: a name has a line break or the like"),
    ],
)
def test_a_wrong_table_of_synonyms_is_refused_by_row(tmp_path, text, words):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError) as refusal:
        read_synonyms(tmp_path / "s.csv")
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_organisers_names_of_2020_become_their_names_of_2021(published_counts, shared_2021):
    """Hyphens and small letters against the usual writing: the same species, one to one."""
    old = {scientific_name(name) for name in published_counts["species"].unique()}
    assert len(old) == published_counts["species"].n_unique()
    table = pl.read_csv(shared_2021 / "snakeclef2021_microtrain_5000.csv")
    new = set(table["binomial"])
    assert new == {scientific_name(name) for name in new}
    assert len(new & old) > 0.9 * len(new)
