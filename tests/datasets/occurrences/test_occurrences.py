import gzip
import zipfile

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophis import InputError, Occurrences, read_occurrences
from ophis.datasets.occurrences.cleaning import REASONS
from ophis.files import table_batches

HEADER = "species,latitude,longitude,accuracy_m,country"
NEPAL = "Naja naja,27.71,85.32,10,Nepal"
GERMANY = "Vipera berus,52.12,13.45,,DE"
GBIF = (
    "gbifID\tspecies\tscientificName\ttaxonRank\tcountryCode\tdecimalLatitude\tdecimalLongitude"
    "\tcoordinateUncertaintyInMeters\tbasisOfRecord\toccurrenceStatus\tissue"
)
GBIF_ROWS = {
    "": "1\tNaja naja\tNaja naja (Linnaeus, 1758)\tSPECIES\tNP\t27.71\t85.32\t25.0"
    "\tHUMAN_OBSERVATION\tPRESENT\tCONTINENT_DERIVED_FROM_COORDINATES",
    "kept, without a name by GBIF": "2\t\tNaja kaouthia Lesson, 1831\tSPECIES\tTH\t15.11\t101.42\t"
    "\tPRESERVED_SPECIMEN\t\t",
    "not_wild": "3\tNaja naja\tNaja naja\tSPECIES\tNP\t27.72\t85.42\t\tFOSSIL_SPECIMEN\tPRESENT\t",
    "absent": "4\tNaja naja\tNaja naja\tSPECIES\tNP\t27.73\t85.52\t\tHUMAN_OBSERVATION\tABSENT\t",
    "flagged": "5\tNaja naja\tNaja naja\tSPECIES\tNP\t27.74\t85.62\t\tHUMAN_OBSERVATION\t"
    "\tGEODETIC_DATUM_ASSUMED_WGS84;COUNTRY_COORDINATE_MISMATCH",
    "unnamed": "6\t\tNaja Laurenti, 1768\tGENUS\tNP\t27.75\t85.72\t\tHUMAN_OBSERVATION\t\t",
    "no_position": '7\tNaja naja\t"Naja naja\tSPECIES\tNP\t\t\t\tHUMAN_OBSERVATION\t\t',
    "no_number": "8\tNaja naja\tNaja naja\tSPECIES\tNP\tnorth\t85.1\t\tHUMAN_OBSERVATION\t\t",
}
INATURALIST = (
    "id,scientific_name,latitude,longitude,positional_accuracy,public_positional_accuracy,"
    "coordinates_obscured,geoprivacy,quality_grade,captive_cultivated,place_country_name"
)


def write(path, *lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(folder, *lines, **options):
    return read_occurrences(write(folder / "occurrences.csv", *lines), **options)


def test_a_plain_table_is_read(tmp_path):
    found = read(tmp_path, HEADER, GERMANY, NEPAL)
    assert found.table.rows() == [
        ("Naja naja", 27.71, 85.32, 0.01, "NP"),
        ("Vipera berus", 52.12, 13.45, None, "DE"),
    ]
    assert not found.dropped
    assert (len(found), found.rows) == (2, 2)
    assert "27.71" not in repr(found)


def test_a_table_needs_species_and_coordinates_only(tmp_path):
    found = read(tmp_path, "latitude\tlongitude\tspecies", "27.71\t85.32\tnaja_naja")
    assert found.table.row(0) == ("Naja naja", 27.71, 85.32, None, "NP")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("Naja,27.71,85.31,,", "unnamed"),
        ("Naja cf. naja,27.71,85.31,,", "unnamed"),
        ("Naja sp.,27.71,85.31,,", "unnamed"),
        (",27.71,85.31,,", "unnamed"),
        ("Naja naja,,85.31,,", "no_position"),
        ("Naja naja,0,0,,", "zero"),
        ("Naja naja,0.1,-0.2,,", "zero"),
        ("Naja naja,27.71,27.71,,", "zero"),
        ("Naja naja,28,85,,", "whole_degrees"),
        ("Naja naja,27.71,85.31,50001,", "uncertain"),
        ("Naja naja,27.71,85.31,3036,", "centroid"),
        ("Naja naja,-29.58,28.23,,", "centroid"),  # of Lesotho
        ("Naja naja,79.1,17.3,,", "polar"),  # Svalbard
        ("Naja naja,8.1,75.1,,", "at_sea"),
        ("Naja naja,27.71,85.31,,IN", "other_country"),
        ("Naja naja,27.7101,85.3201,,", "duplicate"),
    ],
)
def test_a_dropped_row_is_counted_by_its_reason(tmp_path, row, reason):
    found = read(tmp_path, HEADER, NEPAL, GERMANY, "Vipera aspis,46.6,2.4,,France", row)
    assert dict(found.dropped) == {reason: 1}
    assert (len(found), found.rows) == (3, 4)
    assert reason in REASONS


def test_limits_are_arguments(tmp_path):
    rows = HEADER, NEPAL, "Naja naja,27.7101,85.3201,60000,", "Naja naja,8.5,76.75,,"
    assert dict(read(tmp_path, *rows, max_sea_km=5).dropped) == {"uncertain": 1, "at_sea": 1}
    wide = read(tmp_path, *rows, max_uncertainty_km=100, max_sea_km=40, duplicate_degrees=1e-6)
    assert not wide.dropped


def test_a_record_beside_a_border_or_coast_or_of_a_territory_is_kept(tmp_path):
    found = read(
        tmp_path,
        HEADER,
        "Naja naja,27.505,83.45,,IN",  # 4 km inside Nepal
        "Naja kaouthia,27.4,83.3,60000,IN",  # its radius reaches India
        "Boa imperator,4.92,-52.31,,France",  # Cayenne
        "Naja oxiana,8.5,76.6,,IN",  # 30 km off the coast, as islands that the borders lack
        "Hydrophis platurus,8.1,75.1,,",  # a sea snake
        max_uncertainty_km=100,
    )
    assert not found.dropped
    assert found.table["country"].to_list() == ["GF", "", "NP", "NP", "IN"]


def test_a_precise_record_at_the_centre_of_a_country_is_kept(tmp_path):
    found = read(tmp_path, HEADER, "Tropidolaemus wagleri,1.3573,103.8194,66,SG")
    assert not found.dropped


def test_the_most_accurate_of_duplicates_is_kept(tmp_path):
    rows = [f"Naja naja,27.71{n},85.32{n},{m}," for n, m in enumerate(("", 500, 20, 700))]
    for order in (rows, rows[::-1]):
        assert read(tmp_path, HEADER, *order).table["accuracy_km"].to_list() == [0.02]


def test_species_of_a_list_have_its_spelling_and_others_are_dropped(tmp_path, caplog):
    rows = HEADER, NEPAL, GERMANY, "Vipera berus,52.3,13.45,,", "Naja naje,27.1,85.1,,"
    found = read(tmp_path, *rows, species=["naja-naja", "Boa"])
    assert found.table["species"].to_list() == ["naja-naja"]
    assert dict(found.dropped) == {"not_listed": 3}
    assert "row 3" in caplog.text
    assert "'Naja naje' (listed is 'naja-naja')" in caplog.text


def test_a_listed_name_of_one_word_is_kept(tmp_path):
    found = read(tmp_path, HEADER, "Boa,4.92,-52.31,,", species=["Boa"])
    assert found.table["species"].to_list() == ["Boa"]


def test_a_listed_name_of_no_species_needs_a_position_too(tmp_path):
    beyond = "1,Naja cf. naja,95.2,85.32,,,,,research,,Nepal"
    right = "2,Naja cf. naja,27.71,85.32,,,,,research,,Nepal"
    found = read(tmp_path, INATURALIST, beyond, right, species=["Naja cf. naja"])
    assert found.table["species"].to_list() == ["Naja cf. naja"]
    assert dict(found.dropped) == {"no_position": 1}


@pytest.mark.parametrize("header", [GBIF, GBIF.lower()], ids=["simple", "SQL"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_simple_download_of_gbif_is_read(tmp_path, packed, header):
    path = write(tmp_path / "0001.csv", header, *GBIF_ROWS.values())
    if packed:
        with zipfile.ZipFile(tmp_path / "0001.zip", "w") as archive:
            archive.write(path, "0001.csv")
        path = tmp_path / "0001.zip"
    found = read_occurrences(path)
    assert found.table.rows() == [
        ("Naja kaouthia", 15.11, 101.42, None, "TH"),
        ("Naja naja", 27.71, 85.32, 0.025, "NP"),
    ]
    reasons = [reason for reason in REASONS if reason in GBIF_ROWS]  # of equal counts in order
    assert list(found.dropped.items()) == [(reason, 1) for reason in reasons]


def test_a_darwin_core_archive_is_read(tmp_path):
    fields = "".join(
        f'<field index="{at}" term="http://rs.tdwg.org/dwc/terms/{term}"/>'
        for at, term in enumerate(GBIF.split("\t"))
    )
    meta = (
        '<archive xmlns="http://rs.tdwg.org/dwc/text/"><core encoding="UTF-8"'
        ' fieldsTerminatedBy="\\t" linesTerminatedBy="\\n" fieldsEnclosedBy=""'
        ' ignoreHeaderLines="1" rowType="http://rs.tdwg.org/dwc/terms/Occurrence"><files><location>occurrence.txt'
        f'</location></files><id index="0"/>{fields}</core></archive>'
    )
    path = tmp_path / "0001.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.xml", meta)
        archive.writestr("occurrence.txt", "\n".join([GBIF, *GBIF_ROWS.values()]))
    found = read_occurrences(path)
    assert found.table["species"].to_list() == ["Naja kaouthia", "Naja naja"]
    assert found.rows == len(GBIF_ROWS)


def test_an_export_of_inaturalist_is_read(tmp_path):
    found = read(
        tmp_path,
        INATURALIST,
        "1,Naja naja,27.71,85.32,10,,false,,research,false,Nepal",
        "2,Naja naja,27.81,85.32,10,,true,obscured,research,false,Nepal",
        "3,Naja naja,27.91,85.32,10,28000,true,,research,false,Nepal",
        "4,Naja naja,27.61,85.32,10,,false,,needs_id,false,Nepal",
        "5,Naja naja,27.51,85.32,10,,false,,casual,true,Nepal",
        "6,Naja,27.51,85.42,10,,false,,research,false,Nepal",
        "7,Naja naja,,,,,true,private,research,false,Nepal",
    )
    assert found.table["accuracy_km"].to_list() == [0.01, 30.0, 30.0]
    assert dict(found.dropped) == {
        "unconfirmed": 1, "not_wild": 1, "unnamed": 1, "no_position": 1
    }  # fmt: skip


def test_a_manifest_with_coordinates_is_read(tmp_path):
    found = read(
        tmp_path, "photo,species,country,latitude,longitude,captive",
        "1.jpg,Naja naja,Nepal,27.71,85.32,false", "2.jpg,Naja naja,Nepal,,,false",
        "3.jpg,Naja naja,Nepal,27.91,85.32,true",
    )  # fmt: skip
    assert len(found) == 1
    assert dict(found.dropped) == {"no_position": 1, "not_wild": 1}


ERRORS = {
    "latitude 91": (["Naja naja,91,85.3,,"], r"row 3: latitude should be from -90 to 90"),
    "swapped, out of range": (
        ["Naja naja,118.3,22.1,,"],
        r"row 3: latitude should be from -90 to 90; exchange latitude and longitude, or correct it",
    ),
    "longitude from 0 to 360": (
        ["Naja naja,22.1,190,,"],
        r"row 3: longitude is beyond 180; write those of the west as negative",
    ),
    "decimal comma": (['Naja naja,"27,71",85.3,,'], "row 3: latitude has a decimal comma"),
    "degrees, minutes, seconds": (
        ["Naja naja,27°42'14\",85.3,,"],
        "row 3: latitude is in degrees, minutes and seconds; write decimal degrees",
    ),
    "hemisphere": (["Naja naja,27.71,85.3 E,,"], "row 3: longitude is in degrees, minutes"),
    "dash": (["Naja naja,−27.71,85.3,,"], "row 3: latitude has a dash for its minus"),  # noqa: RUF001
    "words": (["Naja naja,north,85.3,,"], "row 3: latitude is no number; write decimal degrees"),
    "metres": (["Naja naja,4500123,500000,,"], "row 3: latitude should be .* not metres"),
    "accuracy": (["Naja naja,27.71,85.3,good,"], "row 3: accuracy_m 'good' should be a number"),
    "country": (["Naja naja,27.71,85.3,,Nepel"], "row 3: no country is called 'Nepel'; did you"),
    "swapped, at sea": (
        ["Naja naja,78.1,27.1,,", "Naja naja,77.3,28.6,,", "Naja naja,79.3,10.6,,"],
        "row 3: 3 of 4 points are at sea or near a pole; exchange the columns latitude and",
    ),
    "swapped, in another country": (
        ["Vipera berus,35.2,39.1,,Turkey", "Vipera berus,36.2,38.1,,Turkey"],
        r"row 3: 2 of 3 points are outside of their stated country; exchange the columns",
    ),
    "sign lost": (
        ["Bothrops asper,9.9,84.1,,CR", "Bothrops asper,10.3,84.8,,CR"],
        "row 3: 2 of 3 points are at sea or near a pole; longitudes west of Greenwich should",
    ),
}


@pytest.mark.parametrize(("rows", "message"), ERRORS.values(), ids=ERRORS)
def test_a_wrong_coordinate_is_an_error_with_row_and_fix(tmp_path, rows, message):
    rows = [f"{row}," if row.count(",") < 4 else row for row in rows]
    with pytest.raises(InputError, match=r"occurrences\.csv, " + message) as error:
        read(tmp_path, HEADER, GERMANY, *rows)
    assert "27.7" not in str(error.value)
    assert "85.3" not in str(error.value)


def test_signs_that_are_lost_in_part_of_a_table_are_found(tmp_path):
    brazil = [f"Bothrops atrox,-8.{n}1,-60.{n}2,," for n in range(6)]
    lost = [row.replace("-60", "60") for row in brazil]  # in the Indian Ocean
    europe = [f"Vipera berus,{48.03 + n / 10:.2f},{9 + n / 8:.3f},," for n in range(1, 60)]
    assert not read(tmp_path, HEADER, *europe, *brazil).dropped
    few = read(tmp_path, HEADER, *europe, *brazil, *lost[:3])
    assert dict(few.dropped) == {"at_sea": 3}
    words = "row 61: 6 of 65 points are at sea .*; longitudes west of Greenwich should be negative"
    with pytest.raises(InputError, match=words):
        read(tmp_path, HEADER, *europe, *lost)


@pytest.mark.parametrize(("column", "cell", "reason"), [
    ("basisOfRecord", "FOSSIL_SPECIMEN", "not_wild"), ("occurrenceStatus", "ABSENT", "absent"),
    ("quality_grade", "casual", "unconfirmed"), ("captive_cultivated", "true", "not_wild"),
    ("issue", "ZERO_COORDINATE", "flagged"), ("taxonRank", "GENUS", "unnamed"),
])  # fmt: skip
def test_a_term_against_a_record_counts_beside_own_columns(tmp_path, column, cell, reason):
    rows = [f"Naja naja,27.71,85.32,{cell}", "Naja naja,27.81,85.32,"]
    found = read(tmp_path, f"species,latitude,longitude,{column}", *rows)
    assert (len(found), dict(found.dropped)) == (1, {reason: 1})


def test_a_few_wrong_countries_among_many_rows_without_one_are_counted(tmp_path):
    free = [f"Vipera berus,{48.03 + n / 10:.2f},{9 + n / 8:.3f},," for n in range(1, 60)]
    wrong = [f"Vipera berus,48.{n}3,9.{n}1,,Kenya" for n in range(1, 4)]
    assert dict(read(tmp_path, HEADER, *free, *wrong).dropped) == {"other_country": 3}
    with pytest.raises(InputError, match="3 of 3 points are outside of their stated country"):
        read(tmp_path, HEADER, *wrong)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("species,lat,lon", "columns are missing: latitude, longitude; rename 'lat' to latitude"),
        ("name,latitude,longitude", "column is missing: species; rename 'name' to species"),
        ("species,decimalLatitude,lon", "missing: decimalLongitude; needed are species,decimalL"),
        ("species,a,b", "needed are species,latitude,longitude, found 'species', 'a', 'b'"),
    ],
)
def test_missing_columns_are_named(tmp_path, header, message):
    with pytest.raises(InputError, match=r"occurrences\.csv: .*" + message):
        read(tmp_path, header, "Naja naja,27.71,85.32")


def test_decimal_commas_between_commas_are_named(tmp_path):
    with pytest.raises(InputError, match=r"row 2: has 5 cells under 3 .*12\.5, not 12,5"):
        read(tmp_path, "species,latitude,longitude", "Naja naja,27,71,85,32")


def test_a_compressed_table_is_refused(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"species,latitude,longitude\n"))
    with pytest.raises(InputError, match=r"a\.csv\.gz: is compressed; unpack it"):
        read_occurrences(path)


def test_a_file_without_any_record_is_refused(tmp_path):
    with pytest.raises(InputError, match="no row is a record of a species at a place: 1 no name"):
        read(tmp_path, HEADER, "Naja,27.71,85.32,,")
    with pytest.raises(InputError, match="there is no row below the header"):
        read(tmp_path, HEADER)
    with pytest.raises(InputError, match="found no column"):
        read(tmp_path)


def test_a_large_table_is_read_in_batches_with_equal_results(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [
        f"{name},{lat:.3f},{lon:.3f},,"
        for name, lat, lon in zip(
            rng.choice(["Naja naja", "Naja", "Vipera berus"], 500),
            rng.uniform(20, 30, 500),
            rng.uniform(74, 84, 500),
            strict=True,
        )
    ]
    path = write(tmp_path / "a.csv", "# from the field", HEADER, *rows[:250], "", *rows[250:])
    whole = read_occurrences(path)
    parquet = tmp_path / "a.parquet"
    table = pl.read_csv(path, comment_prefix="#", infer_schema=False).drop_nulls("latitude")
    table.with_columns(other=[1]).write_parquet(parquet)
    monkeypatch.setattr(table_batches, "WHOLE_BYTES", 0)
    monkeypatch.setattr(table_batches, "BATCH", 64)
    for source in (path, parquet):
        found = read_occurrences(source)
        assert found.table.equals(whole.table)
        assert found.dropped == whole.dropped
    rows[333] = "Naja naja,91,80,,"
    path = write(tmp_path / "b.csv", "# from the field", HEADER, *rows[:250], "", *rows[250:])
    with pytest.raises(InputError, match=r"b\.csv, row 337: latitude should be"):
        read_occurrences(path)


RECORDS = st.tuples(
    st.sampled_from(["Naja naja", "Naja haje", "Naja", "Naja sp.", ""]),
    st.one_of(st.sampled_from(["", "25", "0"]), st.floats(22, 26).map("{:.3f}".format)),
    st.one_of(st.sampled_from(["", "80", "0"]), st.floats(76, 80).map("{:.3f}".format)),
    st.sampled_from(["", "0", "20", "999", "80000"]),
    st.sampled_from(["", "IN", "Nepal"]),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(RECORDS, max_size=20), st.randoms())
def test_every_row_is_kept_or_counted_in_any_order(tmp_path_factory, records, random):
    folder = tmp_path_factory.mktemp("records")
    rows = [",".join((*record, "x")) for record in records]  # a line of commas is no row
    certain = [f"Naja naja,23.{n}1,78.11,,IN" for n in range(10, 40)]
    found = []
    for _ in range(2):
        random.shuffle(rows)
        found.append(read(folder, HEADER + ",note", *certain, *rows))
    assert found[0].rows == len(certain) + len(rows)
    assert set(found[0].dropped) <= set(REASONS)
    assert isinstance(found[0], Occurrences)
    assert found[0].table.equals(found[1].table)
    assert found[0].dropped == found[1].dropped
