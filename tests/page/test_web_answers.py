"""Whole answers of the page in Chromium: with and without a network, from disk, and refusals."""

import json
import re
import shutil
from typing import Any

import numpy as np
import onnx
import pytest
from made_bundle import write_made_bundle
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from web_pages import INDEX, PROBE, ask, encoded, served, until, write_page

from ophis import SpeciesList, load
from ophis.bundle import IMAGES, MODEL, BundleWriter, read_bundle
from ophis.combination import combine
from ophis.images import Preprocessing
from ophis.page.runtime import MODULE, runtime_files
from ophis.page.single_file import single_page
from ophis.sample.camera import photograph
from ophis.sample.population import sightings
from ophis.web import FACTS, OFFLINE, alone, offline_page, web_files
from ophis.web import MODEL as WEB_MODEL
from ophis.words import read_words

SPECIES = SpeciesList(("Boa constrictor", "Naja naja", "Natrix natrix"))
TOLERANCE = 1e-3  # of a probability, between ONNX Runtime on this machine and in the browser
EMERGENCY = read_words().say("advice", "emergency")
CONTROLLED = "navigator.serviceWorker.controller !== null"


@pytest.fixture(scope="module")
def engine():
    return runtime_files()


@pytest.fixture(scope="module")
def files(imagenet17, engine):
    """A page with a real network."""
    return tried(web_files(imagenet17.bundle, engine))


@pytest.fixture(scope="module")
def made(tmp_path_factory, engine):
    """A page with a network that is a few numbers, and its bundle."""
    bundle = write_made_bundle(tmp_path_factory.mktemp("made") / "bundle", SPECIES)
    return tried(web_files(read_bundle(bundle), engine)), bundle


def tried(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {"index.html": INDEX, "probe.js": PROBE}


@pytest.fixture
def opened(browser):
    """Opens a page in a fresh profile, and notes whatever it asks for or complains of."""
    contexts = []

    def open_page(address: str, before: str = ""):
        context = browser.new_context()
        contexts.append(context)
        if before:
            context.add_init_script(before)
        page = context.new_page()
        page.asked, page.said = [], []
        context.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()


def require_same(
    found: dict[str, Any], expected: dict[str, Any], tolerance: float = TOLERANCE
) -> None:
    """Field by field; the probabilities within the tolerance."""
    for answer in (found, expected):
        answer["p"] = [guess.pop("probability") for guess in answer["guesses"]]
    assert found.pop("p") == pytest.approx(expected.pop("p"), abs=tolerance)
    assert found == expected


def test_a_page_answers_as_python_does_and_then_without_a_network(
    opened, files, imagenet17, drawn_photo, tmp_path
):
    folder, photo = write_page(tmp_path / "page", offline_page(files)), drawn_photo.read_bytes()
    with served(folder) as server:
        page = opened(server.address)
        require_same(
            ask(page, [photo], country="KE"), imagenet17.identify(photo, country="KE").as_dict()
        )
        assert page.evaluate("answerer.kept()") is True
        until(page, CONTROLLED)
        assert {url for url in page.asked if not url.startswith(server.address)} == set()
        assert f"{server.address}{WEB_MODEL}" in page.asked
    page.asked.clear()
    page.reload()  # the server is gone
    require_same(ask(page, [photo]), imagenet17.identify(photo).as_dict())
    assert {url for url in page.asked if not url.startswith(server.address)} == set()
    assert page.said == []


def test_one_file_answers_when_it_is_opened_from_disk(
    opened, files, engine, imagenet17, drawn_photo, tmp_path
):
    path, photo = tmp_path / "page.html", drawn_photo.read_bytes()
    path.write_bytes(single_page(alone(files), engine[MODULE]))
    page = opened(path.as_uri())
    require_same(
        ask(page, [photo, photo], country="IN", language="es"),
        imagenet17.identify([photo, photo], country="IN", language="es").as_dict(),
    )
    assert page.evaluate("answerer.kept()") is True
    assert {re.sub(":.*", "", url) for url in page.asked} == {"file", "blob"}
    assert [url for url in page.asked if url.startswith("file")] == [path.as_uri()]
    assert page.said == []


@pytest.mark.slow
def test_a_hundred_drawn_photos_have_the_same_names_and_probabilities(
    opened, files, imagenet17, tmp_path
):
    scenes = sightings(100, seed=7)
    photos = [photograph(scene, seed=number).data for number, scene in enumerate(scenes)]
    with served(write_page(tmp_path / "page", offline_page(files))) as server:
        page = opened(server.address)
        for photo in photos:
            require_same(ask(page, [photo]), imagenet17.identify(photo).as_dict())


def test_a_new_page_takes_over_when_all_of_it_is_there(opened, made, tmp_path, drawn_photo):
    """Until then the old one answers; a new one that is not whole changes nothing."""
    files, _ = made
    folder = write_page(tmp_path / "page", offline_page(files))
    update = "navigator.serviceWorker.getRegistration().then((r) => r.update()).catch(String)"
    version = "document.title"
    with served(folder) as server:
        page = opened(server.address)
        until(page, "Boolean(globalThis.answerer)")
        assert page.evaluate("answerer.kept()") is True
        until(page, CONTROLLED)
        newer = offline_page(files | {"index.html": INDEX.replace(b"tried", b"newer")})
        write_page(folder, newer | {"index.html": INDEX})  # half of an upload
        page.evaluate(update)
        until(
            page,
            "navigator.serviceWorker.getRegistration().then((r) => !r.installing && !r.waiting)",
        )
        page.reload()
        assert page.evaluate(version) == "tried"
        assert "lines" in ask(page, [drawn_photo.read_bytes()])
        write_page(folder, newer)
        page.evaluate(update)
        until(page, "navigator.serviceWorker.getRegistration().then((r) => !!r.waiting)")
        page.reload()
        assert page.evaluate(version) == "tried"  # this page is still open
        assert "lines" in ask(page, [drawn_photo.read_bytes()])
    again = page.context.new_page()
    page.close()
    again.goto("about:blank")
    again.wait_for_timeout(500)
    again.goto(server.address)  # the server is gone, and the old page is closed
    assert again.evaluate(version) == "newer"
    assert "lines" in ask(again, [drawn_photo.read_bytes()])
    names = again.evaluate("caches.keys()")
    assert len(names) == 1


def test_a_page_over_plain_http_answers_but_is_not_kept(browser, made, drawn_photo, tmp_path):
    """There the browser lends no digest and no service worker."""
    from playwright.sync_api import Error

    files, bundle = made
    photo = drawn_photo.read_bytes()
    with served(write_page(tmp_path / "page", offline_page(files))) as server:
        context = browser.new_context()
        context.route("http://plain.test/**", lambda route: forward(route, server.address))
        page = context.new_page()
        try:
            page.goto("http://plain.test/")
        except Error as error:
            pytest.fail(str(error))
        assert page.evaluate("[isSecureContext, typeof crypto.subtle]") == [False, "undefined"]
        require_same(ask(page, [photo]), load(bundle).identify(photo).as_dict())
        assert page.evaluate("answerer.kept()") is False
        context.close()


def forward(route, address: str) -> None:
    """A page of another name, from our server."""
    response = route.fetch(url=route.request.url.replace("http://plain.test/", address))
    route.fulfill(response=response)


def test_views_are_averaged_as_python_does(opened, engine, coloured, tmp_path):
    bundle = write_made_bundle(tmp_path / "made", coloured.species_list())
    combine([bundle], tmp_path / "views", validation=coloured, flip=True, crops=True)
    classifier = load(tmp_path / "views")
    assert len(classifier.bundle.views) == 10
    page_folder = write_page(
        tmp_path / "page", offline_page(tried(web_files(classifier.bundle, engine)))
    )
    photos = [coloured.paths()[row].read_bytes() for row in range(6)]
    with served(page_folder) as server:
        page = opened(server.address)
        for photo in [[one] for one in photos] + [photos]:
            require_same(ask(page, photo), classifier.identify(photo).as_dict(), 1e-5)


def write_mapping_bundle(folder, species: SpeciesList):
    """A network with maps of two species: what each colour's mean over blocks says."""
    chance = np.random.default_rng(0)
    weights = chance.normal(size=(3, len(species))).astype(np.float32)
    names = {"weights": weights, "best": np.array([2], np.int64)}
    nodes = [
        helper.make_node(
            "AveragePool", ["pixels"], ["blocks"], kernel_shape=[8, 8], strides=[8, 8]
        ),
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("TopK", ["logits", "best"], ["highest", "evidence_species"]),
        helper.make_node("Transpose", ["blocks"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["last", "weights"], ["all"]),
        helper.make_node("Transpose", ["all"], ["maps"], perm=[0, 3, 1, 2]),
        helper.make_node("Reshape", ["evidence_species", "shape"], ["one_photo"]),
        helper.make_node("Gather", ["maps", "one_photo"], ["evidence"], axis=1),
    ]
    names["shape"] = np.array([2], np.int64)
    number = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "mapping", [number("pixels", TensorProto.FLOAT, [1, 3, 32, 32])],
        [number("logits", TensorProto.FLOAT, [1, len(species)]),
         number("evidence", TensorProto.FLOAT, [1, 2, 4, 4]),
         number("evidence_species", TensorProto.INT64, [1, 2])],
        [numpy_helper.from_array(value, name) for name, value in names.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with BundleWriter(folder) as writer:
        onnx.save(model, writer.folder / MODEL)
        Preprocessing(32, (0.5,) * 3, (0.5,) * 3).write(writer.folder / IMAGES)
        writer.write(species=species, calibration=None, prior=None, rule=None, card="mapping")
    return folder


def test_the_evidence_is_the_map_of_the_first_guess(opened, engine, tmp_path):
    classifier = load(write_mapping_bundle(tmp_path / "bundle", SPECIES))
    blocks = Image.fromarray(np.random.default_rng(1).integers(0, 256, (4, 4, 3), np.uint8))
    blocks.resize((96, 96), Image.Resampling.NEAREST).save(tmp_path / "blocks.png")
    photo = (tmp_path / "blocks.png").read_bytes()
    folder = write_page(
        tmp_path / "page", offline_page(tried(web_files(classifier.bundle, engine)))
    )
    with served(folder) as server:
        page = opened(server.address)
        answer = ask(page, [photo], evidence=True)
        assert ask(page, [photo])["evidence"] == []
    (found,) = answer["evidence"]
    (expected,) = classifier.identify(photo, evidence=True).as_dict()["evidence"]
    assert (min(expected["values"]), max(expected["values"])) == (0, 1)
    assert found.pop("values") == pytest.approx(expected.pop("values"), abs=2e-4)
    assert found == expected


def test_a_network_without_maps_has_no_evidence(opened, made, drawn_photo, tmp_path):
    with served(write_page(tmp_path / "page", offline_page(made[0]))) as server:
        page = opened(server.address)
        assert ask(page, [drawn_photo.read_bytes()], evidence=True)["evidence"] == [None]


def refused(page, photos: list[bytes], **more) -> tuple[int, str]:
    """Status and sentence; the advice that always holds comes along."""
    refusal = ask(page, photos, **more)["refusal"]
    assert refusal["name"] == "Refusal"
    assert refusal["emergency"] in {EMERGENCY, read_words("es").say("advice", "emergency")}
    return refusal["status"], refusal["error"]


@pytest.mark.parametrize("how", ["cut short", "changed", "missing"])
def test_a_model_that_is_not_whole_is_told_so(opened, made, drawn_photo, tmp_path, how):
    files, _ = made
    folder = write_page(tmp_path / "page", offline_page(files))
    model = files[WEB_MODEL]
    (folder / WEB_MODEL).write_bytes(
        {"cut short": model[:-100], "changed": model[:-1] + b"!", "missing": b""}[how]
    )
    if how == "missing":
        (folder / WEB_MODEL).unlink()
    key = "missing" if how == "missing" else "damaged"
    with served(folder) as server:
        page = opened(server.address)
        for language in ("en", "es"):
            told = refused(page, [drawn_photo.read_bytes()], language=language)
            assert told == (503, read_words(language).say("local", key))
        told = page.evaluate("answerer.warm().catch((e) => [e.name, e.status, e.error])")
        assert told == ["Refusal", 503, read_words().say("local", key)]
        (folder / WEB_MODEL).write_bytes(model)  # the network is back
        assert "lines" in ask(page, [drawn_photo.read_bytes()])


def test_a_model_that_cannot_run_is_told_so(opened, made, engine, drawn_photo, tmp_path):
    _, bundle = made
    broken = shutil.copytree(bundle, tmp_path / "broken")
    read = read_bundle(bundle)
    (broken / MODEL).write_bytes(b"no model")
    from dataclasses import replace

    member = replace(read.members[0], model=broken / MODEL)
    page_files = tried(web_files(replace(read, members=(member,)), engine))
    with served(write_page(tmp_path / "page", offline_page(page_files))) as server:
        page = opened(server.address)
        told = refused(page, [drawn_photo.read_bytes()])
        assert told == (500, read_words().say("local", "failed"))


def test_a_browser_without_webassembly_is_told_so(opened, made, drawn_photo, tmp_path):
    with served(write_page(tmp_path / "page", offline_page(made[0]))) as server:
        page = opened(server.address, before="delete globalThis.WebAssembly;")
        told = refused(page, [drawn_photo.read_bytes()])
        assert told == (501, read_words().say("local", "no_webassembly"))


def test_what_cannot_be_answered_is_refused_as_python_does(opened, made, drawn_photo, tmp_path):
    files, _ = made
    photo = drawn_photo.read_bytes()
    with served(write_page(tmp_path / "page", offline_page(files))) as server:
        page = opened(server.address)
        status, error = refused(page, [b"%PDF-1.7 a letter", b""], language="es")
        assert status == 422
        assert error == (
            "photo 1: this is a PDF; send a JPEG, PNG or WebP photo;"
            " photo 2: the file is empty; copy it again"
        )
        assert refused(page, [])[0] == refused(page, [photo], top=0)[0] == 422
        assert refused(page, [photo], country="Atlantis") == (
            422, "no country is called 'Atlantis'; use its ISO code",
        )  # fmt: skip
        assert refused(page, [photo], language="tlh")[1].startswith("no words in language 'tlh'")
        answer = ask(page, [b"GIF89a", photo])  # one of two is enough
        assert answer["failures"][0]["photo_id"] == "photo 1"
        assert [seen["name"] for seen in answer["photos"]] == ["photo 2"]


def test_a_question_can_be_taken_back_and_progress_is_told(opened, made, drawn_photo, tmp_path):
    with served(write_page(tmp_path / "page", offline_page(made[0]))) as server:
        page = opened(server.address)
        until(page, "Boolean(globalThis.answerer)")
        shares = page.evaluate(
            "async () => { const s = []; await answerer.warm((x) => s.push(x)); return s; }"
        )
        assert shares == sorted(shares)
        assert shares[-1] == 1
        assert len(shares) > 2
        name = page.evaluate(
            """async (text) => {
              const photo = new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]);
              const taken = new AbortController();
              const asked = answerer.ask({photos: [photo], country: null, gps: false, top: 5,
                language: "en", evidence: false}, {signal: taken.signal});
              taken.abort();
              return asked.catch((error) => error.name);
            }""",
            encoded(drawn_photo.read_bytes()),
        )
        assert name == "AbortError"
        assert "lines" in ask(page, [drawn_photo.read_bytes()])


def test_the_list_of_what_to_keep_is_that_of_the_page(made):
    files = offline_page(made[0])
    (line,) = re.findall(r"(?m)^const PAGE = (.*);$", files[OFFLINE].decode())
    listed = json.loads(line)
    assert listed["files"].keys() == files.keys() - {OFFLINE}
    other = offline_page(made[0] | {FACTS: made[0][FACTS] + b" "})
    assert other[OFFLINE] != files[OFFLINE]
