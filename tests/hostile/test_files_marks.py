"""Camera metadata and given positions: absent from answers, logs, pictures, reports and packs."""

import base64
import binascii
import contextlib
import gzip
import io
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin
from starlette.testclient import TestClient

from ophis import BayesPrior, CountryPrior, Recipe, SpeciesList, load
from ophis.cli import main
from ophis.geography.location import read_position
from ophis.inference.answer import answer_html, answer_markdown
from ophis.inference.classifier import Classifier
from ophis.priors.location import LocationPrior
from ophis.priors.records import Records
from ophis.serve import create_app
from tests.support.hostile_photos import segment
from tests.support.made_bundle import write_made_bundle
from tests.support.paths import SOURCE

MARK = "MARK7QX"
# South of Nairobi: 1° 17' 31.44123" S, 36° 49' 19.00321" E.
PARTS = {"latitude": (1, 17, 3144123), "longitude": (36, 49, 1900321)}
SCALE = 100_000
AT = "-1.29206701,36.82194528,47.25813"  # the same position, with its accuracy
POSITION = re.compile(
    rb"(?<![0-9.])-?(1\.2920|36\.8219)"  # in degrees
    rb"|31\.4412|19\.0032"  # seconds
    rb"|3144123|1900321"
    rb"|47\.258|0\.047258"
)
DIGITS = (
    b"1.2920",
    b"36.8219",
    b"31.4412",
    b"19.0032",
    b"3144123",
    b"1900321",
    b"47.258",
    b"0.047258",
)
NUMBERS = ((3144123, SCALE), (1900321, SCALE))
BYTES = [struct.pack(f"{order}II", *pair) for order in "<>" for pair in NUMBERS]


def exif() -> Image.Exif:
    """Return EXIF with marks in every directory, and a position."""
    found = Image.Exif()
    for tag in (0x010E, 0x010F, 0x0110, 0x013B, 0x8298):  # what, maker, model, artist, copyright
        found[tag] = f"{MARK} {tag:x}"
    details = found.get_ifd(ExifTags.IFD.Exif)
    details[0x927C] = f"{MARK} of the maker".encode() + bytes(40)
    details[0x9286] = b"ASCII\0\0\0" + f"{MARK} comment".encode()
    details[0xA431] = f"{MARK} serial"
    gps = found.get_ifd(ExifTags.IFD.GPSInfo)
    for tag, name in ((2, "latitude"), (4, "longitude")):
        degrees, minutes, seconds = PARTS[name]
        gps[tag] = (degrees, minutes, TiffImagePlugin.IFDRational(seconds, SCALE))
    gps[1], gps[3] = "S", "E"
    gps[27] = b"ASCII\0\0\0" + f"{MARK} method".encode()
    return found


def marked(photo: Image.Image, kind: str) -> bytes:
    """Return a file with a mark in every place that can hold one."""
    file = io.BytesIO()
    profile = f"{MARK} profile".encode() + bytes(200)
    if kind == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Comment", f"{MARK} text")
        texts.add_itxt("XML:com.adobe.xmp", f"<x>{MARK}</x>", zip=True)
        photo.save(file, "PNG", exif=exif(), pnginfo=texts, icc_profile=profile)
        return file.getvalue() + MARK.encode()
    photo.save(
        file, "JPEG", exif=exif(), comment=f"{MARK} comment", icc_profile=profile,
        xmp=f"<x:xmpmeta>{MARK}</x:xmpmeta>".encode(), quality=95,
    )  # fmt: skip
    data = file.getvalue()
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x10\x1c\x02\x78\0\x0b" + f"{MARK}IPTC".encode()
    return data[:2] + segment(0xED, iptc) + data[2:] + MARK.encode()


def layers(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield the bytes and their content when unpacked: zip, gzip, zlib, base64."""
    yield data
    if depth > 3:
        return
    if data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from layers(archive.read(name), depth + 1)
    elif data[:2] == b"\x1f\x8b":
        yield from layers(gzip.decompress(data), depth + 1)
    elif data.startswith(b"\x89PNG"):
        for start in (m.start() for m in re.finditer(b"zTXt|iTXt|iCCP", data)):
            for skip in range(1, 120):
                try:
                    yield zlib.decompressobj().decompress(data[start + skip :])
                except zlib.error:
                    continue
    for text in re.findall(rb"base64,([A-Za-z0-9+/=]{40,})", data):
        try:
            yield from layers(base64.b64decode(text), depth + 1)
        except binascii.Error:
            continue


def marks_in(data: bytes) -> list[str]:
    """Return the camera marks found in some bytes."""
    found = []
    for layer in layers(data):
        words = (MARK.encode(), MARK.encode("utf-16-le"), *BYTES)
        found += [repr(word) for word in words if word in layer]
        if any(digits in layer for digits in DIGITS):  # faster than the regular expression
            found += [repr(m.group()) for m in POSITION.finditer(layer)]
    return found


@pytest.fixture(scope="module")
def outputs(coloured, small, full_size, tmp_path_factory) -> tuple[Path, dict[str, bytes]]:
    """Folder of the marked photos, and all outputs made from them by name."""
    folder = tmp_path_factory.mktemp("marked")
    (folder / "photos").mkdir()
    for number, path in enumerate(coloured.paths()):
        with Image.open(path) as photo:
            kind = "PNG" if number % 3 == 1 else "JPEG"
            (folder / "photos" / path.name).write_bytes(marked(photo, kind))
    lines = coloured.table.select("photo", "species", "country").write_csv()
    (folder / "photos" / "all.csv").write_text(lines)
    (folder / "out").mkdir()
    if not full_size:  # a network of a few numbers instead of the trained one
        species = coloured.species_list()
        write_made_bundle(folder / "out" / "bundle", species, prior=prior_with_records(species))
    return folder, dict(everything(folder, small(steps=1, evaluate_every_steps=1)))


def prior_with_records(species: SpeciesList) -> LocationPrior:
    """Return a prior with ten records of each species around the position."""
    counts = CountryPrior(species, ("kenya",), np.ones((1, len(species)), int))
    rng, rows = np.random.default_rng(0), np.repeat(np.arange(len(species)), 10)
    latitude, longitude = rng.uniform([[-2], [36]], [[-1], [37]], (2, len(rows)))
    records = Records.of(species, latitude=latitude, longitude=longitude, column=rows)
    return LocationPrior(BayesPrior(counts), records)


def commands(photos: Path, out: Path) -> Iterator[list[object]]:
    """Yield all commands that read photos."""
    table = ["--train", out / "train.csv", "--validation", out / "validation.csv"]
    one, source, bundle = photos / "0.png", photos / "all.csv", out / "bundle"
    yield ["collect", source, "--out", out / "collected.csv"]
    yield ["split", source, "--train", out / "train.csv", "--validation", out / "validation.csv"]
    yield ["pack", source, "--out", out / "pack", "--pixels", 64]
    yield ["pack", source, "--out", out / "raw", "--pixels", 64, "--raw"]
    yield ["train", out / "r.toml", *table, "--out", out / "a"]
    yield ["train", out / "r.toml", *table, "--out", out / "b"]
    runs = [out / "a", out / "b"]
    yield ["compare", *runs, "--manifest", out / "validation.csv", "--out", out / "r.html"]
    if not bundle.exists():
        yield ["export", out / "a", "--out", bundle]
    yield ["score", bundle, out / "validation.csv", "--out", out / "s.npz"]
    yield ["evaluate", out / "s.npz", "--out", out / "figures"]
    yield ["identify", bundle, one]
    yield ["identify", bundle, one, "--json"]
    yield ["identify", bundle, one, "--gps", "--json"]
    yield ["identify", bundle, one, photos / "1.png", "--gps", "--one-snake"]
    yield ["identify", bundle, one, "--at", AT]
    yield ["identify", bundle, one, photos / "1.png", f"--at={AT}", "--json", "--country", "Kenya"]
    yield ["card", bundle]


def everything(folder: Path, recipe: Recipe) -> Iterator[tuple[str, bytes]]:
    """Run the commands that read photos, and send requests to the service."""
    out, one = folder / "out", folder / "photos" / "0.png"
    (out / "r.toml").write_text(recipe.to_toml())
    printed = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        for words in commands(folder / "photos", out):
            with pytest.raises(SystemExit) as end:
                main(list(map(str, words)))
            assert end.value.code == 0, (words, printed.getvalue())
        for words in (["--at", f"{AT},1"], ["--at", AT.replace("-1", "-91")],
                      ["--at", AT, "--country", "Nepal"]):  # fmt: skip
            with pytest.raises(SystemExit) as end:
                main(["identify", str(out / "bundle"), str(one), *words])
            assert end.value.code == 2
    yield "printed", printed.getvalue().encode()
    for path in sorted(out.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(out)), path.read_bytes()
    classifier = load(out / "bundle")
    for name, place in (("photo's", {"gps": True}), ("given", {"at": read_position(AT)})):
        answer = classifier.identify(one, evidence=True, **place)
        shown = f"{answer!r} {answer.to_json()} {answer_html(answer)} {answer_markdown(answer)}"
        yield f"notebook: {name} position", shown.encode()
    yield from service_outputs(classifier, one.read_bytes())


def service_outputs(classifier: Classifier, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield answers, headers, error responses and metrics of the service."""
    with TestClient(create_app(classifier), raise_server_exceptions=False) as client:
        while client.get("/ready").status_code != 200:
            time.sleep(0.01)
        for name, photo in (("whole", data), ("cut short", data[: len(data) // 2])):
            files = [("photo", (f"{name}.jpg", photo))]
            for place in ({"gps": "true"}, {"at": AT}, {"at": AT, "country": "Nepal"}):
                fields = {"evidence": "true", **place}
                answer = client.post("/identify", files=files, data=fields)
                shown = answer.content + str(answer.headers).encode()
                yield f"service: {name}, {' '.join(place)}", shown
        yield "service: metrics", client.get("/metrics").content


def test_marks_are_found_in_the_photos(outputs, full_size):
    """A control for the test below."""
    folder, made = outputs
    for path in sorted((folder / "photos").glob("*.png")):
        data = path.read_bytes()
        assert MARK.encode() in data
        assert any(word in data for word in BYTES)
    inside = base64.b64encode((folder / "photos" / "0.png").read_bytes())
    assert marks_in(b'<img src="data:image/jpeg;base64,' + inside + b'">')
    assert marks_in(b'{"latitude": -1.29206701}')
    assert marks_in(AT.encode())
    assert len(made) > 30
    assert b"kenya" in made["printed"].lower()  # the country was found from the position
    if not full_size:
        assert b"records, nearest " in made["notebook: given position"]
    report = made["r.html"]
    assert report.count(b"base64,") >= 2  # photos and maps are shown


def test_no_output_contains_camera_metadata(outputs, figure):
    _, made = outputs
    assert {name: marks_in(data) for name, data in made.items() if marks_in(data)} == {}
    figure(f"{len(made)} outputs, {sum(map(len, made.values())) / 1e6:.0f} MB, 0 marks")


def test_headers_forbid_foreign_scripts_and_content_sniffing(outputs):
    folder, _ = outputs
    with TestClient(create_app(load(folder / "out" / "bundle"))) as client:
        for path in ("/", "/nowhere", "/health", "/identify"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "'unsafe-inline'" not in policy
            assert "'unsafe-eval'" not in policy.replace("'wasm-unsafe-eval'", "")
            assert headers["x-content-type-options"] == "nosniff"


def test_page_inserts_no_text_as_markup():
    makes = re.compile(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(")
    scripts = {path.name: path.read_bytes() for path in (SOURCE / "web" / "static").glob("*.js")}
    assert len(scripts) > 20
    assert [name for name, data in scripts.items() if makes.search(data)] == []
