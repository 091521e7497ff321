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


def test_delimiters_of_the_description(tmp_path):
    how = 'fieldsTerminatedBy=";" linesTerminatedBy="\\r\\n" fieldsEnclosedBy="\'"'
    core = part("core", DWC + "Occurrence", "occurrence.txt", TERMS[:1], how=how)
    core = core.replace("UTF-8", "ISO-8859-1")
    core = core.replace("</core>", f'<field default="KE" term="{DWC}countryCode"/></core>')
    occurrences = "o1;'Naja; naja\r\né'\r\no2;Boa boa\r\n".encode("latin-1")
    photos = "id\ttype\tidentifier\tlicense\no1\t\ta.jpg\no2\t\tb.jpg\n"
    path = archive(tmp_path, meta=meta(core, MEDIA), occurrence=occurrences, multimedia=photos)
    with pytest.raises(
        InputError, match=r"sightings\.zip, multimedia\.txt, row 2: species .* has a"
    ):
        read_manifest(path)
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
    with pytest.raises(InputError, match=r"row 3: photo 'o1 a\.jpg' is there twice"):
        read_manifest(archive(tmp_path, multimedia=photos.replace("o3", "o1")))


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
        ({"multimedia": "\no9\t\ta.jpg\n"}, "multimedia.txt, row 2: there is no occurrence 'o9'"),
        ({"multimedia": "\n\t\ta.jpg\n"}, "multimedia.txt, row 2: its id is empty"),
        ({"multimedia": "\no1\t\t\t\n"}, "multimedia.txt, row 2: photo is empty"),
        ({"multimedia": "\no1\t\t../a.jpg\t\n"}, "row 2: photo '../a.jpg' leaves the folder"),
        (
            {"multimedia": "\no1\t\thttp://a.example/%2e%2e/a.jpg\t\n"},
            "row 2: photo '../a.jpg' leaves the folder",
        ),
        ({"multimedia": "\no1\t\thttp://[a/b.jpg\n"}, "'http://[a/b.jpg' is no URL"),
        (
            {"occurrence": OCCURRENCES.replace("o2", "o1")},
            "occurrence.txt, row 3: id 'o1' is there tw",
        ),
        ({"occurrence": OCCURRENCES.encode("utf-16")}, "occurrence.txt: is not in UTF-8"),
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
        (
            {"multimedia": "id\ttype\tidentifier\no1\t\ta.jpg\n"},
            "multimedia.txt: has 3 columns, but meta.xml puts license in column 4; correct either",
        ),
        ({"occurrence": OCCURRENCES.replace("NA\t", "QQ\t")}, "no country is called 'QQ'"),
        ({"occurrence": "id\no1\t" + "".join(map(str, range(300_000)))}, "row 2: is longer than a"),
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


def test_unclosed_quote_is_refused(tmp_path):
    core = CORE.replace('fieldsEnclosedBy=""', "fieldsEnclosedBy='\"'")
    rows = OCCURRENCES.replace('Vipera "ammodytes"', '"Vipera')
    with pytest.raises(InputError, match=r"occurrence\.txt, row 4: unexpected end of data"):
        read_manifest(archive(tmp_path, meta=meta(core, MEDIA), occurrence=rows))
