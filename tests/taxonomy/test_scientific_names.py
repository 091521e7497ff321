import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ophis.taxonomy.scientific_names import is_above_species, scientific_name
from tests.support.species_names import NAMES


@given(name=NAMES)
@example(name="_")
def test_scientific_name_is_idempotent(name):
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
def test_spellings_of_a_species_give_genus_and_epithet(genus, epithet, end, case, between):
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
def test_scientific_name_of_source_spellings(found, name):
    assert scientific_name(found) == name


def test_uncertain_names_stay_apart_from_species():
    for word in ("cf.", "aff.", "nr.", "?", "sp."):
        assert scientific_name(f"Naja {word} naja") != "Naja naja"
    for end in ("complex", "s.l.", "x Naja nivea", "hybrid", "sensu lato", "group"):
        assert scientific_name(f"Naja naja {end}") != "Naja naja"


@pytest.mark.parametrize("name", ["Naja", "Serpentes", "Viperidae Oppel, 1811", "Naja (Laurenti)"])
def test_one_word_names_are_above_species(name):
    assert is_above_species(name)
    assert not is_above_species("Naja naja")
    assert not is_above_species("")


def test_snakeclef_names_of_2020_match_2021(published_counts, shared_2021):
    """Names in hyphens and lower case map one to one to the usual spelling."""
    old = {scientific_name(name) for name in published_counts["species"].unique()}
    assert len(old) == published_counts["species"].n_unique()
    table = pl.read_csv(shared_2021 / "snakeclef2021_microtrain_5000.csv")
    new = set(table["binomial"])
    assert new == {scientific_name(name) for name in new}
    assert len(new & old) > 0.9 * len(new)
