import zipfile
from pathlib import Path

import pytest

from ophis import InputError, read_manifest
from ophis.geography.countries import UNKNOWN

DWC, DC = "http://rs.tdwg.org/dwc/terms/", "http://purl.org/dc/terms/"
TABS = r'fieldsTerminatedBy="\t" linesTerminatedBy="\n" fieldsEnclosedBy="" ignoreHeaderLines="1"'


def part(kind: str, row_type: str, location: str, terms: list[str], *, how: str = TABS) -> str:
    """Return the XML of the core or an extension; its first column is the id."""
    fields = "".join(f'<field index="{n}" term="{term}"/>' for n, term in enumerate(terms, start=1))
    key = "id" if kind == "core" else "coreid"
    return (
        f'<{kind} encoding="UTF-8" {how} rowType="{row_type}"><files><location>{location}'
        f'</location></files><{key} index="0"/>{fields}</{kind}>'
    )


TERMS = [DWC + term for term in ("scientificName", "taxonRank", "countryCode", "country")]
CORE = part("core", DWC + "Occurrence", "occurrence.txt", TERMS)
MEDIA = part(
    "extension",
    "http://rs.gbif.org/terms/1.0/Multimedia",
    "multimedia.txt",
    [DC + "type", DC + "identifier", DC + "license"],
)
OCCURRENCES = (
    "id\tname\trank\tcode\tcountry\n"
    "o1\tNaja nigricincta Bogert, 1940\tSPECIES\tNA\tNamibia\n"
    "o2\tNaja Laurenti, 1768\tGENUS\tZZ\t\n"
    'o3\tVipera "ammodytes"\t\t\tKosovo\n'
)
PHOTOS = (
    "id\ttype\tidentifier\tlicense\n"
    "o1\tStillImage\tphotos/1.jpg\tCC0\n"
    "o1\tStillImage\thttps://a.example/photos/2/original.jpg\tCC BY\n"
    "o1\tSound\thttps://a.example/sounds/3.mp3\tCC BY\n"
    "\n"
    "o2\t\tHTTP://a.example//get%20it?id=4/5\t\n"
    "o3\tStillImage\tphotos/6.jpg\t\n"
)


def meta(*parts: str, head: str = "") -> str:
    return f'<?xml version="1.0"?>{head}<archive xmlns="http://rs.tdwg.org/dwc/text/">{"".join(parts)}</archive>'


def archive(folder: Path, **members: str | bytes) -> Path:
    """Write a valid archive; ``members`` replace or add members, None omits one."""
    usual = {"meta": meta(CORE, MEDIA), "occurrence": OCCURRENCES, "multimedia": PHOTOS}
    path = folder / "sightings.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in (usual | members).items():
            if data is not None:
                packed.writestr(f"{name}.{'xml' if name == 'meta' else 'txt'}", data)
    return path


def test_photos_have_terms_of_their_occurrence(tmp_path):
    manifest = read_manifest(archive(tmp_path))
    table = manifest.table.select("photo", "species", "country", "observation", "license")
    assert table.rows() == [
        ("photos/1.jpg", "Naja nigricincta Bogert, 1940", "na", "o1", "CC0"),
        ("photos/2/original.jpg", "Naja nigricincta Bogert, 1940", "na", "o1", "CC BY"),
        ("get it?id=4%2F5", None, UNKNOWN, "o2", ""),
        ("photos/6.jpg", 'Vipera "ammodytes"', "kosovo", "o3", ""),
    ]
    assert list(manifest.table["scientificName"])[2] == "Naja Laurenti, 1768"
    assert manifest.folder == tmp_path / "sightings"
    assert read_manifest(tmp_path / "sightings.zip", photos=tmp_path).folder == tmp_path


def test_positions_are_those_of_the_occurrence(tmp_path):
    terms = ("decimalLatitude", "decimalLongitude", "coordinateUncertaintyInMeters")
    core = part("core", DWC + "Occurrence", "occurrence.txt",
                [TERMS[0], *(DWC + term for term in terms)])  # fmt: skip
    rows = ("id\tname\tlat\tlon\tm", "o1\tBoa boa\t4.92\t-52.31\t50", "o3\tBoa boa\t91\t5\tfar")
    occurrences = "\n".join(rows) + "\n"
    manifest = read_manifest(archive(tmp_path, meta=meta(core, MEDIA), occurrence=occurrences))
    found = manifest.table.unique("observation", maintain_order=True)
    assert found.select("latitude", "longitude", "accuracy_m").rows() == [
        ("4.92", "-52.31", "50"), ("", "", ""),
    ]  # fmt: skip


def test_delimiters_of_the_description(tmp_path, caplog):
    how = 'fieldsTerminatedBy=";" linesTerminatedBy="\\r\\n" fieldsEnclosedBy="\'"'
    core = part("core", DWC + "Occurrence", "occurrence.txt", TERMS[:1], how=how)
    core = core.replace("UTF-8", "ISO-8859-1")
    core = core.replace("</core>", f'<field default="KE" term="{DWC}countryCode"/></core>')
    occurrences = "o1;'Naja; naja\r\né'\r\no2;Boa boa\r\n".encode("latin-1")
    photos = "id\ttype\tidentifier\tlicense\no1\t\ta.jpg\no2\t\tb.jpg\n"
    path = archive(tmp_path, meta=meta(core, MEDIA), occurrence=occurrences, multimedia=photos)
    manifest = read_manifest(path)
    assert list(manifest.table["species"]) == ["Boa boa"]
    assert "1 row was passed over: species 'Naja; naja\\r\\né' has a line break" in caplog.text
    occurrences = occurrences.replace(b"\r\n\xe9", b"\xe9")
    path = archive(tmp_path, meta=meta(core, MEDIA), occurrence=occurrences, multimedia=photos)
    manifest = read_manifest(path)
    assert list(manifest.table["species"]) == ["Naja; najaé", "Boa boa"]
    assert list(manifest.table["country"]) == ["ke", "ke"]


def test_core_with_associated_media_after_extension(tmp_path):
    core = part("core", DWC + "Occurrence", "occurrence.txt", [*TERMS, DWC + "associatedMedia"])
    other = part("extension", "http://rs.gbif.org/terms/1.0/Identifier", "other.txt", [])
    rows = "\no1\tBoa boa\t\tKE\t\ta.jpg | https://a.example/b.jpg\no2\tBoa boa\t\tKE\t\t\n"
    manifest = read_manifest(archive(tmp_path, meta=meta(other, core), occurrence=rows))
    assert list(manifest.table["photo"]) == ["a.jpg", "b.jpg"]
    assert list(manifest.table["observation"]) == ["o1", "o1"]


def test_photo_of_two_occurrences_has_two_rows(tmp_path):
    photos = "id\ttype\tidentifier\tlicense\no1\t\ta.jpg\no3\t\ta.jpg\n"
    manifest = read_manifest(archive(tmp_path, multimedia=photos))
    assert list(manifest.table["photo_id"]) == ["o1 a.jpg", "o3 a.jpg"]


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]>'
IN_JAPANESE = meta(CORE).replace('"1.0"', '"1.0" encoding="shift_jis"')
OUTSIDE = '<!DOCTYPE a SYSTEM "file:///etc/passwd">'


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"meta": None}, "member 'meta.xml' is missing"),
        ({"multimedia": None}, "member 'multimedia.txt' is missing"),
        ({"meta": meta(CORE, MEDIA, head=BOMB)}, "meta.xml: has a DOCTYPE"),
        ({"meta": meta(CORE, MEDIA, head=OUTSIDE)}, "meta.xml: has a DOCTYPE"),
        ({"meta": "<archive>"}, "meta.xml is no XML"),
        ({"meta": "<archive/>"}, "meta.xml describes no core"),
        ({"meta": meta(CORE.replace("Occurrence", "Event"))}, "its core is 'Event'"),
        ({"meta": meta(CORE.replace('<id index="0"/>', ""))}, "no id for the rows of Occurrence"),
        ({"meta": meta(CORE.replace('<id index="0"', '<id index="-1"'))}, "'-1' should be the num"),
        ({"meta": meta(CORE.replace(r'"\t"', '"||"'))}, "separated and quoted by a character"),
        (
            {"meta": meta(CORE.replace(r'"\n"', '"|"'))},
            "rows should end with a line break, not '|'",
        ),
        ({"meta": meta(CORE.replace("UTF-8", "zlib"), MEDIA)}, "encoding 'zlib' is unknown"),
        ({"meta": meta(CORE.replace("UTF-8", "odd"), MEDIA)}, "encoding 'odd' is unknown"),
        ({"meta": meta(CORE.replace("scientificName", "x"))}, "has no term scientificName"),
        ({"meta": meta(CORE, MEDIA.replace("identifier", "x"))}, "has no term identifier in Multi"),
        ({"meta": meta(CORE)}, "there is no photo"),
        ({"meta": " " * (1 << 20) + "x"}, ""),
        ({"multimedia": "\no9\t\ta.jpg\n"}, "there is no photo"),
        ({"multimedia": "\no1\t\t../a.jpg\t\n"}, "no row can be used"),
        # Other codecs fail in other ways than UTF-8 does.
        ({"meta": meta(CORE.replace("UTF-8", "utf-16"))}, "occurrence.txt: is not in utf-16, the"),
        (
            {"meta": meta(CORE.replace("UTF-8", "undefined"))},
            "is not in undefined, the encod",
        ),
        ({"meta": IN_JAPANESE}, "meta.xml cannot be read: multi-byte encodings are not supported"),
        (
            {"meta": meta(CORE.replace('index="1"', 'index="9"'), MEDIA)},
            "occurrence.txt: has 5 columns, but meta.xml puts scientificName in column 10; correct",
        ),
    ],
)
def test_wrong_archive_is_refused(tmp_path, members, words):
    with pytest.raises(InputError) as error:
        read_manifest(archive(tmp_path, **members))
    line = str(error.value)
    assert line.startswith(str(tmp_path / "sightings.zip"))
    assert words in line
    assert "\n" not in line
    assert [path.name for path in tmp_path.iterdir()] == ["sightings.zip"]


@pytest.mark.parametrize("location", ["../secret.txt", "/etc/passwd", "secret.txt", "file:a"])
def test_location_outside_archive_is_refused(tmp_path, location):
    (tmp_path / "secret.txt").write_text(OCCURRENCES)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "secret.txt").write_text(OCCURRENCES)
    core = CORE.replace("occurrence.txt", location)
    with pytest.raises(InputError, match=f"member '{location}' is missing"):
        read_manifest(archive(tmp_path / "in", meta=meta(core, MEDIA)))


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-16-le", "utf-16"])
def test_byte_order_mark_is_skipped(tmp_path, encoding):
    core = CORE.replace("UTF-8", encoding).replace('Lines="1"', 'Lines="0"')
    rows = OCCURRENCES.partition("\n")[2]
    mark = "" if encoding == "utf-16" else "\ufeff"  # that codec writes its own
    path = archive(tmp_path, meta=meta(core, MEDIA), occurrence=(mark + rows).encode(encoding))
    assert read_manifest(path).table["observation"][0] == "o1"


PASSED_OVER = {
    "o9\t\ta.jpg\t\n": "media whose occurrence is missing",
    "\t\ta.jpg\t\n": "media whose occurrence is missing",
    "o1\t\t\t\n": "media without an address",
    "o1\tStillImage\n": "media without an address",
    "o1\t\tphotos/1.jpg\t\n": "media with an address that its occurrence has before",
    "o1\t\t../a.jpg\t\n": "photo '../a.jpg' leaves the folder",
    "o1\t\thttp://a.example/%2e%2e/a.jpg\t\n": "photo '../a.jpg' leaves the folder",
    "o1\t\thttp://a.example/\t\n": "photo is empty",
    "o1\t\ta\\b.jpg\t\n": "has a backslash",
    "o1\t\thttp://[a/b.jpg\t\n": "media whose address is no URL",
    "o1\t\ta\ufffd.jpg\t\n": "text that is not in UTF-8",
    "o1\t\ta.jpg\t" + "x" * (1 << 24) + "\n": "longer than a row can be",
}


@pytest.mark.parametrize("row", PASSED_OVER, ids=range(len(PASSED_OVER)))
@pytest.mark.parametrize("number", [1, 3])
def test_media_that_cannot_be_used_are_counted(tmp_path, caplog, row, number):
    expected = read_manifest(archive(tmp_path)).table
    if PASSED_OVER[row].startswith(("photo", "has")):  # one photo, one reason
        number = 1
    found = read_manifest(archive(tmp_path, multimedia=PHOTOS + row * number)).table
    assert found.equals(expected)
    rows = "1 row was" if number == 1 else "3 rows were"
    (line,) = caplog.messages
    assert f"sightings.zip: {rows} passed over: " in line
    assert PASSED_OVER[row] in line
    assert "(first: multimedia.txt, row 8)" in line


@pytest.mark.parametrize(
    ("row", "reason", "species"),
    [
        ("\tBoa boa\t\tKE\t\n", "occurrence without an id", 3),
        ("o1\tNaja nigricincta Bogert, 1940\tSPECIES\tNA\tNamibia\n", "id is there twice", 3),
        ("o1\tBoa boa\t\tKE\t\n", "occurrence whose id another one has", 1),
        (b"o4\tBoa b\xf8a\t\tKE\t\n", "text that is not in UTF-8", 3),
    ],
)
def test_occurrences_that_cannot_be_used_are_counted(tmp_path, caplog, row, reason, species):
    data = OCCURRENCES.encode() + (row if isinstance(row, bytes) else row.encode())
    manifest = read_manifest(archive(tmp_path, occurrence=data))
    assert manifest.table["species"].drop_nulls().len() == species
    assert reason in caplog.text


def test_unknown_country_of_others_is_counted(tmp_path, caplog):
    rows = OCCURRENCES.replace("NA\t", "QQ\t")
    assert read_manifest(archive(tmp_path, occurrence=rows)).table["country"][0] == "namibia"
    rows = rows.replace("Namibia", "Atlantis")
    assert read_manifest(archive(tmp_path, occurrence=rows)).table["country"][0] == UNKNOWN
    assert "country 'Atlantis' of 2 rows is not known (first: multimedia.txt, row 2)" in caplog.text


QUOTED = CORE.replace('fieldsEnclosedBy=""', "fieldsEnclosedBy='\"'")


@pytest.mark.parametrize("name", ['"Vipera', '"Vip"era'])
def test_row_with_wrong_quotes_is_passed_over(tmp_path, caplog, name):
    rows = OCCURRENCES.replace('o3\tVipera "ammodytes"', f"o3\t{name}") + "o4\tBoa boa\t\tKE\t\n"
    photos = PHOTOS + "o4\t\t7.jpg\t\n"
    path = archive(tmp_path, meta=meta(QUOTED, MEDIA), occurrence=rows, multimedia=photos)
    assert read_manifest(path).table["species"].to_list()[-1] == "Boa boa"
    assert "quotes that do not end (first: occurrence.txt, row 4)" in caplog.text


def test_rows_of_several_lines(tmp_path):
    rows = OCCURRENCES.replace('"ammodytes"', "x").replace("NA\tNamibia", 'NA\t"Na\n\nm""ibia\n"')
    path = archive(tmp_path, meta=meta(QUOTED, MEDIA), occurrence=rows)
    assert len(read_manifest(path)) == 4


VARIANTS = {
    "empty attributes": meta(CORE, MEDIA)
    .replace('encoding="UTF-8"', 'encoding=""').replace(r'"\n"', '""')
    .replace('Lines="1"', 'Lines=""').replace('<field index="2" ', '<field index="2" default="" '),
    "no number of header lines": meta(CORE, MEDIA).replace('ignoreHeaderLines="1"', ""),
}  # fmt: skip
NAMED = {
    "occurrence": OCCURRENCES.replace(
        "id\tname\trank\tcode\tcountry", "gbifID\tscientificName\ttaxonRank\tcountryCode\tcountry"
    ),
    "multimedia": PHOTOS.replace("id\ttype", "gbifID\ttype"),
}


@pytest.mark.parametrize("description", VARIANTS.values(), ids=VARIANTS)
def test_attributes_may_be_empty(tmp_path, caplog, description):
    expected = read_manifest(archive(tmp_path)).table
    found = read_manifest(archive(tmp_path, meta=description, **NAMED)).table
    assert found.equals(expected)
    assert not caplog.text


def test_long_cells_and_carriage_returns_in_columns_that_are_not_read(tmp_path, caplog):
    expected = read_manifest(archive(tmp_path)).table
    cell = "POLYGON ((1 2, 3 4))\r" * 20_000
    rows = OCCURRENCES.replace("Namibia\n", f"Namibia\t{cell}\n")
    assert read_manifest(archive(tmp_path, occurrence=rows)).table.equals(expected)
    described = meta(CORE, MEDIA).replace(r'"\n"', r'"\r"')
    for how in (described, meta(CORE, MEDIA)):
        members = {"occurrence": OCCURRENCES, "multimedia": PHOTOS}
        members = {name: text.replace("\n", "\r") for name, text in members.items()}
        assert read_manifest(archive(tmp_path, meta=how, **members)).table.equals(expected)
    rows = OCCURRENCES.encode("utf-16")
    assert read_manifest(archive(tmp_path, occurrence=rows)).table.equals(expected)
    assert not caplog.text


def test_archive_in_a_folder(tmp_path):
    expected = read_manifest(archive(tmp_path)).table
    members = {"dwca/meta.xml": meta(CORE, MEDIA), "dwca/occurrence.txt": OCCURRENCES}
    members |= {"dwca/multimedia.txt": PHOTOS, "__MACOSX/dwca/meta.xml": "x"}
    with zipfile.ZipFile(tmp_path / "folder.zip", "w") as packed:
        for name, text in members.items():
            packed.writestr(name, text)
    assert read_manifest(tmp_path / "folder.zip").table.equals(expected)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"0012-24.csv": "gbifID\tspecies\n"}, "the table 0012-24.csv and no meta.xml; GBIF's"),
        ({"my.csv": "photo,species\n"}, "and no meta.xml; unpack it and name the table"),
        ({"a/meta.xml": "", "b/meta.xml": ""}, "has a/meta.xml and b/meta.xml; make an archive"),
        ({"Boa/1.jpg": "", "Boa/2.jpg": ""}, "if it holds photos, unpack it and name the folder"),
    ],
)
def test_other_archive_is_refused(tmp_path, members, words):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        for name, text in members.items():
            packed.writestr(name, text)
    with pytest.raises(InputError, match=words):
        read_manifest(tmp_path / "x.zip")


def test_simple_download_of_gbif_is_refused(tmp_path):
    (tmp_path / "0012-24.csv").write_text("gbifID\tspecies\tcountryCode\n1\tBoa boa\tKE\n")
    with pytest.raises(InputError, match="GBIF's simple download lists no photos; download the"):
        read_manifest(tmp_path / "0012-24.csv")


def test_address_of_another_protocol(tmp_path):
    photos = PHOTOS.replace("https://a.example/photos", "ftp://a.example/photos")
    assert read_manifest(archive(tmp_path, multimedia=photos)).table["photo"][1] == (
        "photos/2/original.jpg"
    )


@pytest.mark.parametrize("other", ["occurrence.txt", "./occurrence.txt"])
def test_member_named_twice_is_refused(tmp_path, other):
    location = "<location>occurrence.txt</location>"
    twice = meta(CORE.replace(location, f"{location}<location>{other}</location>"), MEDIA)
    with pytest.raises(InputError, match=r"meta\.xml: names 'occurrence\.txt' twice; keep one"):
        read_manifest(archive(tmp_path, meta=twice))
    both = meta(CORE, MEDIA.replace("multimedia.txt", other))
    with pytest.raises(InputError, match=r"names 'occurrence\.txt' twice"):
        read_manifest(archive(tmp_path, meta=both))
