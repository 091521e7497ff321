"""Texts that look the same are one species, photo or observation."""

import unicodedata

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from ophis import InputError, SpeciesList
from ophis.taxonomy.scientific_names import scientific_name
from ophis.taxonomy.species_list import species_key
from ophis.taxonomy.spelling import plain_text, species_name

UNSEEN = "\u200b\u200c\u200d\u2060\u00ad\ufeff\u200e\u034f\ufe0f\u180e\U000e0061"
SPACES = "\u00a0\u2007\u202f\u3000\u2009 "
FORMS = ("NFC", "NFD", "NFKC", "NFKD")
NAMES = st.lists(
    st.sampled_from(["Naja", "naja", "Vipère", "d'Orbignyi", "ñandú", "Ås", "कोबरा", "кобра", "ﬁ"]),
    min_size=1,
    max_size=4,
).map(" ".join)


@given(name=NAMES, form=st.sampled_from(FORMS), data=st.data())
def test_spelling_of_one_name_is_one_species(name, form, data):
    letters = data.draw(st.lists(st.sampled_from([*UNSEEN, ""]), min_size=3, max_size=3))
    space = data.draw(st.text(st.sampled_from(SPACES), min_size=1, max_size=3))
    places = [data.draw(st.integers(0, len(name))) for _ in letters]
    other = unicodedata.normalize(form, name)
    for letter, place in zip(letters, places, strict=True):
        other = other[:place] + letter + other[place:]
    other = f"{space}{other.replace(' ', space)}\ufeff"
    assert species_name(other) == species_name(name)
    assert species_key(species_name(other)) == species_key(species_name(name))
    assert SpeciesList((name, "Boa boa")).index(other) == 0
    assert scientific_name(species_name(other)) == scientific_name(species_name(name))


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_plain_text_is_idempotent(text):
    assert plain_text(plain_text(text)) == plain_text(text)
    for form in ("NFC", "NFD"):
        assert plain_text(unicodedata.normalize(form, text)) == plain_text(text)


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_species_name_is_idempotent(text):
    try:
        name = species_name(text)
    except InputError:
        reject()
    assert species_name(name) == name


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        ("N\u0430ja naja", "U+0430 CYRILLIC SMALL LETTER A"),
        ("naja n\u0430ja", "U+0430 CYRILLIC SMALL LETTER A"),
        ("\u0412\u043e\u0430", "U+0430 CYRILLIC SMALL LETTER A"),
        ("Vi\u03c1era berus", "U+03C1 GREEK SMALL LETTER RHO"),
        ("\u0391spis \u0445 boa", "U+0391 GREEK CAPITAL LETTER ALPHA"),
        ("Naja haje \u0445 Naja naja", "U+0445 CYRILLIC SMALL LETTER HA"),
        ("Naj\u0561 naja", "U+0561 ARMENIAN SMALL LETTER AYB"),
    ],
)
def test_look_alike_letter_is_refused_by_name(name, letter):
    for refused in (species_name, lambda name: SpeciesList(("Naja naja", name))):
        with pytest.raises(InputError, match="looks like another letter") as error:
            refused(name)
        assert letter in str(error.value).replace("\\", "")


@pytest.mark.parametrize(
    "name",
    [
        "гадюка обыкновенная",
        "Οχιά",
        "\u039f\u03a7\u0399\u0391",
        "Naja naja (кобра)",
        "Boa属",
        "ニシキヘビ属",
        "नाग",
    ],
)
def test_name_in_another_script_is_kept(name):
    assert species_name(name) == name


@pytest.mark.parametrize(
    "name", ["17", " 17 ", "17.0", "-3", "\u0661\u0667", "1,024", "\uff11\uff17"]
)
def test_number_is_no_species(name):
    for refused in (species_name, lambda name: SpeciesList((name,))):
        with pytest.raises(InputError, match="is a number; write the species' name instead"):
            refused(name)


def test_stacked_accents_are_refused():
    assert species_name("Rắn hổ mang Việt, पहाड़ूं, שָׁ") == "Rắn hổ mang Việt, पहाड़ूं, שָׁ"
    with pytest.raises(InputError, match="more than 2 accents on one letter"):
        SpeciesList(("Naja na\u0301\u0302\u0303ja",))
