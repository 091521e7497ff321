import csv

import pytest

from ophis.geography.countries import iso_codes
from ophis.taxonomy.danger import IMPORTANCE, VENOMOUS_GENERA, Danger, danger
from ophis.taxonomy.important_species import important_in, important_species
from ophis.taxonomy.scientific_names import scientific_name
from ophis.taxonomy.species_list import genus, species_key


def rows():
    with IMPORTANCE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_species_has_valid_sorted_countries_a_category_and_a_source():
    for row in rows():
        codes = row["countries"].split()
        assert codes == sorted(set(codes)), row
        assert set(codes) <= set(iso_codes()), row
        assert row["category"] in ("", "1", "2")
        assert " ".join(codes) == row["countries"]
        if row["category"]:
            assert codes, row
            assert row["source"].startswith("WHO "), row
        if row["mivs"] == "0":
            assert row["category"] == row["countries"] == row["synonyms"] == "", row


def test_names_are_accepted_spellings_and_each_name_means_one_species():
    names: set[str] = set()
    for row in important_species():
        assert row.synonyms == tuple(sorted(row.synonyms))
        for name in (row.species, *row.synonyms):
            assert species_key(name) not in names, name
            names.add(species_key(name))
            words = name.split(" ")
            assert scientific_name(name) == " ".join(words[:2])
            assert 2 <= len(words) <= 3


def test_every_species_is_venomous_and_those_of_who_are_of_a_venomous_genus():
    with VENOMOUS_GENERA.open(newline="") as file:
        genera = {row["genus"] for row in csv.DictReader(file)}
    for row in important_species():
        assert {danger(name) for name in (row.species, *row.synonyms)} == {Danger.VENOMOUS}
        if row.category:
            assert {genus(name) for name in (row.species, *row.synonyms)} <= genera


@pytest.mark.parametrize(
    ("country", "first", "second"),
    [
        ("LK", "Daboia russelii, Naja naja, Bungarus caeruleus, Hypnale hypnale, Echis carinatus",
         "Bungarus ceylonicus, Craspedocephalus trigonocephalus"),
        ("IN", "Daboia russelii, Naja naja, Naja kaouthia, Bungarus caeruleus, Echis carinatus",
         "Ophiophagus hannah, Bungarus fasciatus, Craspedocephalus malabaricus"),
        ("NP", "Bungarus caeruleus, Naja naja, Naja kaouthia, Daboia russelii",
         "Ophiophagus hannah"),
        ("MM", "Daboia siamensis, Naja kaouthia, Naja mandalayensis", "Bungarus fasciatus"),
        ("TH", "Calloselasma rhodostoma, Naja siamensis, Trimeresurus albolabris",
         "Ophiophagus hannah"),
        ("CN", "Deinagkistrodon acutus, Gloydius brevicaudus, Naja atra, Bungarus multicinctus",
         "Protobothrops mangshanensis"),
        ("JP", "Protobothrops flavoviridis, Gloydius blomhoffii", "Rhabdophis tigrinus"),
        ("KE", "Bitis arietans, Dendroaspis polylepis, Naja ashei, Echis pyramidum",
         "Dispholidus typus, Naja pallida"),
        ("NG", "Bitis arietans, Echis ocellatus, Naja nigricollis", "Pseudohaje goldii"),
        ("ZA", "Bitis arietans, Naja nivea, Naja mossambica", "Hemachatus haemachatus"),
        ("EG", "Naja haje, Cerastes cerastes, Echis coloratus", "Walterinnesia aegyptia"),
        ("IR", "Naja oxiana, Macrovipera lebetina, Echis carinatus", "Eristicophis macmahonii"),
        ("BR", "Bothrops atrox, Bothrops jararaca, Crotalus durissus", "Lachesis muta"),
        ("CR", "Bothrops asper, Crotalus simus", "Lachesis stenophrys, Bothriechis lateralis"),
        ("MQ", "Bothrops lanceolatus", ""),
        ("US", "Crotalus adamanteus, Crotalus atrox, Agkistrodon piscivorus", "Micrurus fulvius"),
        ("AU", "Pseudonaja textilis, Oxyuranus scutellatus, Notechis scutatus",
         "Acanthophis antarcticus"),
        ("PG", "Oxyuranus scutellatus, Acanthophis laevis", "Micropechis ikaheka"),
        ("GB", "Vipera berus", ""),
        ("FR", "Vipera aspis, Vipera berus", "Vipera seoanei"),
    ],
)  # fmt: skip
def test_known_species_of_a_country(country, first, second):
    found = {row.species: row.category for row in important_in([country])}
    for names, category in ((first, 1), (second, 2)):
        for name in filter(None, names.split(", ")):
            assert found.get(name) == category, name


@pytest.mark.parametrize(
    ("species", "not_in"),
    [("Naja naja", "ZA"), ("Daboia russelii", "TH"), ("Bothrops asper", "BR"),
     ("Vipera berus", "IE"), ("Notechis scutatus", "NZ"), ("Echis carinatus", "KE"),
     ("Crotalus durissus", "US")],
)  # fmt: skip
def test_species_are_not_listed_where_they_do_not_live(species, not_in):
    assert species not in [row.species for row in important_in([not_in])]


def test_the_order_is_by_category_and_name():
    order = [(row.category or 3, row.species) for row in important_species()]
    assert order == sorted(order)
    assert len(order) > 400
    assert len(important_in(iso_codes())) == len(order)
    assert important_in(["IE"]) == ()
    assert important_in([]) == ()
