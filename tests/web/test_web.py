"""Export of the page: files, errors, and the source of the engine."""

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ophis import CountryPrior, InputError, Override, SpeciesList, near
from ophis.cli import main
from ophis.inference.bundles.bundle import read_bundle
from ophis.inference.ensemble import combine
from ophis.priors.bayes import BayesPrior
from ophis.priors.location import LocationPrior
from ophis.priors.records import Records
from ophis.web import runtime
from ophis.web.export import FACTS, MODEL, PRIOR, RECORDS, export_web
from ophis.web.facts import as_json, facts_of, near_facts
from ophis.web.runtime import DIGESTS, MODULE, VERSION, WASM, licences, runtime_files
from ophis.web.single_file import single_page
from tests.support.decision_bundles import BUNDLES
from tests.support.made_bundle import write_made_bundle
from tests.support.paths import ROOT

SPECIES = SpeciesList(("Boa constrictor", "Naja naja"))


@pytest.fixture
def bundle(tmp_path):
    return write_made_bundle(tmp_path / "bundle", SPECIES)


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """Fake files of onnxruntime-web, with matching digests."""
    files = {MODULE: b"const a = 1;export{a as env};", WASM: b"made"}
    pins = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    monkeypatch.setattr(runtime, "DIGESTS", pins)
    return write(tmp_path / "engine", files)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_export_is_atomic_and_replaces_an_earlier_one(bundle, engine, tmp_path):
    out = tmp_path / "page"
    first = export_web(bundle, out, runtime=engine)
    (out / "of_the_earlier.js").write_text("")
    written = export_web(bundle, out, runtime=engine)
    assert first == written
    assert {file.path: file.size for file in written} == {
        str(path.relative_to(out)): path.stat().st_size for path in out.rglob("*") if path.is_file()
    }
    assert [file.size for file in written] == sorted((f.size for f in written), reverse=True)
    assert {"index.html", MODEL, FACTS, "sentences/es.json", "borders.json"} <= {
        f.path for f in written
    }
    settings = json.loads((out / "settings.json").read_text())
    assert (settings["mode"], settings["species"], settings["evaluated"]) == ("local", 2, False)
    assert (out / MODEL).read_bytes() == (bundle / MODEL.partition("/")[2]).read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_export_refuses_foreign_folder(bundle, engine, tmp_path):
    out = write(tmp_path / "out", {"thesis.txt": b"mine"})
    with pytest.raises(InputError, match="contains other files than a page of ophis"):
        export_web(bundle, out, runtime=engine)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    page = tmp_path / "page.html"
    page.write_text("<p>mine</p>")
    with pytest.raises(InputError, match="is no page of ophis"):
        export_web(bundle, page, single_file=True, runtime=engine)
    assert page.read_text() == "<p>mine</p>"
    with pytest.raises(InputError, match=r"must end in \.html"):
        export_web(bundle, tmp_path / "page", single_file=True, runtime=engine)


def test_failed_export_keeps_the_earlier_page(bundle, engine, tmp_path, monkeypatch):
    out = tmp_path / "page"
    export_web(bundle, out, runtime=engine)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    own, written = Path.write_bytes, []

    def full(path: Path, data: bytes) -> int:
        written.append(path)
        if len(written) > 5:
            raise OSError(28, "No space left on device")
        return own(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        export_web(bundle, out, runtime=engine)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_single_file_is_complete_and_replaces_an_earlier_one(bundle, engine, tmp_path):
    out = tmp_path / "page.html"
    (first,) = export_web(bundle, out, single_file=True, runtime=engine)
    assert export_web(bundle, out, single_file=True, runtime=engine) == (first,)
    html = out.read_text()
    assert first.size == len(out.read_bytes())
    for name in (FACTS, MODEL, f"runtime/{WASM}", "sentences/es.json", "borders.json"):
        assert f'id="file:{name}"' in html
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert "connect-src" not in policy  # nothing, then: default-src
    assert "default-src 'none'" in policy
    loading = r"""<(?:link|img|script|iframe|source)\b[^>]*\s(?:src|href)=["'](?!data:)"""
    assert re.search(loading, html.partition('<script type="text/plain"')[0]) is None


def test_unsupported_module_syntax_is_refused():
    html = b'<meta charset="utf-8"><body><script type="module" src="a.js"></script></body>'
    worker = {"worker.js": b"", "index.html": html}
    engine = b"export{a as env};"
    for odd in (b"export default 1;", b'import a from "./worker.js";', b'import x from "y";'):
        with pytest.raises(ValueError, match="cannot be joined"):
            single_page(worker | {"a.js": odd}, engine)
    with pytest.raises(ValueError, match="the page has no <meta charset>"):
        single_page(worker | {"index.html": b"<body></body>"}, engine)
    with pytest.raises(ValueError, match="does not end with its exports"):
        single_page(worker | {"a.js": b""}, b"export default 1;")


def test_every_network_of_an_ensemble_is_exported(engine, coloured, tmp_path):
    species = coloured.species_list()
    parts = [write_made_bundle(tmp_path / f"{seed}", species, seed=seed) for seed in (1, 2)]
    combine(parts, tmp_path / "both", validation=coloured)
    export_web(tmp_path / "both", tmp_path / "page", runtime=engine)
    facts = json.loads((tmp_path / "page" / FACTS).read_text())
    models = facts["parts"]["models"]
    assert [part["path"] for part in models] == [MODEL, "model/model-2.onnx"]
    assert len(facts["members"]) == len(facts["images"]) == 2
    for part, member in zip(models, read_bundle(tmp_path / "both").members, strict=True):
        data = (tmp_path / "page" / part["path"]).read_bytes()
        assert data == member.model.read_bytes()
        assert (part["bytes"], part["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_equal_prior_rows_are_stored_once():
    """Most of 250 countries share the row of their continent."""
    facts, table = facts_of(BUNDLES["bayes"])
    prior = BUNDLES["bayes"].prior
    assert prior
    rows, places = facts["prior"]["rows"], facts["countries"]
    numbers = np.frombuffer(table, "<f8").reshape(rows, -1)
    assert len(np.unique(numbers, axis=0)) == rows < len(places)
    assert "atlantis" not in places  # not a name of a country
    for key in ("UNKNOWN", "ke", "kenya", "np", "the-bahamas"):
        factors, use = prior.log_factors(key)
        assert np.array_equal(numbers[places[key]["factors"]], factors)
        assert np.array_equal(numbers[places[key]["ratios"]], prior.ratios(key))
        assert places[key]["use"] == use
    assert places["ke"]["spelling"] == "kenya"
    assert facts_of(BUNDLES["image"])[1] == b""


def test_records_of_positions_are_exported(engine, tmp_path):
    """The last row of the prior is log p(s | world)."""
    counts = CountryPrior(SPECIES, ("kenya", "india"), np.array([[3, 1], [0, 2]]))
    base = BayesPrior(counts, overrides=(Override("kenya", "Naja naja", 0.25),))
    records = Records.of(
        SPECIES, latitude=np.array([10.0, -5]), longitude=np.array([77.0, 20]),
        column=np.array([1, 0]),
    )  # fmt: skip
    folder = write_made_bundle(tmp_path / "b", SPECIES, prior=LocationPrior(base, records))
    export_web(folder, tmp_path / "page", runtime=engine)
    facts = json.loads((tmp_path / "page" / FACTS).read_text())
    location, part = facts["prior"]["location"], facts["parts"]["records"]
    data = (tmp_path / "page" / RECORDS).read_bytes()
    assert data == records.to_bytes()
    assert (part["path"], part["bytes"]) == (RECORDS, 20)
    rows = np.frombuffer((tmp_path / "page" / PRIOR).read_bytes(), "<f8").reshape(-1, 2)
    assert len(rows) == facts["prior"]["rows"]
    np.testing.assert_array_equal(rows[-1], np.log(base.world))
    assert location["records"] == 2
    assert json.loads((tmp_path / "page" / "settings.json").read_text())["records"] is True
    assert location["overridden"] == {"ke": [1]}
    assert {"bandwidths_km", "place_records", "step", "world_exponent"} <= location.keys()
    assert facts["countries"]["ke"]["spelling"] == "kenya"


def test_facts_list_the_dangerous_species_of_a_country_as_near_does():
    species = SpeciesList(("Cryptelytrops albolabris", "Naja naja", "Ahaetulla nasuta"))
    facts = near_facts(species)
    rows = facts["species"]
    for code in ("IN", "LK", "KE", "TH"):
        listed = [tuple(rows[number][:3]) for number in facts["countries"][code]]
        assert listed == [(row.species, row.category, row.danger) for row in near(code)]
    assert "IE" not in facts["countries"]
    columns = {row[0]: row[3] for row in rows if row[3]}
    assert columns == {"Trimeresurus albolabris": [0], "Naja naja": [1]}
    assert len(as_json(facts)) < 40_000


def test_bundle_without_a_prior_has_no_rows(bundle, engine, tmp_path):
    written = {file.path for file in export_web(bundle, tmp_path / "page", runtime=engine)}
    assert PRIOR not in written


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as members:
        for name, data in files.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(data)
            members.addfile(member, io.BytesIO(data))
    return path


def test_engine_is_read_from_a_folder_or_an_archive(engine, tmp_path):
    files = {path.name: path.read_bytes() for path in engine.iterdir()}
    assert runtime_files(engine) == files
    assert runtime_files(archive(tmp_path / "npm.tgz", files)) == files
    for name, wrong, message in (
        ("one.tgz", {MODULE: files[MODULE]}, f"has no {WASM}"),
        ("two.tgz", files | {WASM: b"another"}, f"{WASM} differs from onnxruntime-web {VERSION}"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            runtime_files(archive(tmp_path / name, wrong))
    (tmp_path / "text.tgz").write_text("no archive")
    with pytest.raises(InputError, match="cannot be read"):
        runtime_files(tmp_path / "text.tgz")
    with pytest.raises(InputError, match=f"has no {re.escape(MODULE)}"):
        runtime_files(tmp_path / "nowhere")


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Environment without a cached engine and without node_modules."""
    monkeypatch.setenv("OPHIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(runtime, "__file__", str(tmp_path / "a" / "b" / "c" / "runtime.py"))
    return tmp_path


def test_missing_npm_error_names_the_fix(engine, nowhere, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(
        InputError, match=r"npm is not installed to fetch it; run `npm pack .* as runtime"
    ):
        runtime_files()


def test_engine_from_npm_is_verified_and_cached(engine, nowhere, monkeypatch):
    files = {path.name: path.read_bytes() for path in engine.iterdir()}
    packed = archive(nowhere / "fetched.tgz", files)
    npm = nowhere / "npm"  # stub of npm pack
    npm.write_text(
        f'#!/bin/sh\n[ "$1" = pack ] && [ "$2" = onnxruntime-web@{VERSION} ] || exit 1\n'
        f'while [ "$1" != --pack-destination ]; do shift; done; cp {packed} "$2"\n'
    )
    npm.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda _: str(npm))
    assert runtime_files() == files
    npm.write_text("#!/bin/sh\necho 'npm error code E404' >&2; exit 1\n")
    assert runtime_files() == files  # kept
    (nowhere / "cache" / f"onnxruntime-web-{VERSION}" / WASM).unlink()
    with pytest.raises(
        InputError, match=r"npm cannot fetch onnxruntime-web@.*: npm error code E404"
    ):
        runtime_files()


def test_pinned_engine_matches_package_json(engine):
    """The exported folder contains the engine's licence."""
    pinned = json.loads((ROOT / "package.json").read_text())["dependencies"]
    assert pinned == {"onnxruntime-web": VERSION}
    assert b"MIT License" in licences()["LICENSE.txt"]
    dist = ROOT / "node_modules" / "onnxruntime-web" / "dist"
    if not dist.is_dir():
        pytest.skip("no node_modules (make check fetches them)")
    for name, digest in DIGESTS.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["web", "run"], "requires an argument"),
        (
            ["web", "run", "page"],
            "is not a bundle: bundle.json is missing; make one with `ophis export`",
        ),
        (["export", "run", "--web", "page"], "is now `ophis web BUNDLE OUT`"),
        (["export", "run", "--single-file"], "is now `ophis web BUNDLE OUT --single-file`"),
    ],
)
def test_web_refuses_wrong_arguments(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_web_writes_a_page_and_lists_its_files(bundle, engine, tmp_path, capsys):
    out = tmp_path / "page"
    with pytest.raises(SystemExit) as ended:
        main(["web", str(bundle), str(out), "--runtime", str(engine)])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["file", "bytes", "gzip"]
    assert lines[-1] == str(out)
    assert lines[-2].startswith("together")
    assert len(lines) == sum(path.is_file() for path in out.rglob("*")) + 3
    with pytest.raises(SystemExit):
        main(["web", str(bundle), "--out", str(out), "--runtime", str(engine), "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["page"] == str(out)
    assert {file["path"] for file in facts["files"]} == {
        str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()
    }
