"""Answers of the page in Chromium against Python: online, offline, from disk."""

import re

import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

from ophis import CountryPrior, SpeciesList, load
from ophis.datasets.synthetic.camera import photograph
from ophis.datasets.synthetic.population import sightings
from ophis.geography.location import Position
from ophis.inference.bundles.index import MODEL
from ophis.priors.bayes import BayesPrior
from ophis.priors.location import LocationPrior
from ophis.priors.records import Records
from ophis.web.export import MODEL as WEB_MODEL
from ophis.web.export import web_files, with_file_digests, with_inline_engine
from ophis.web.runtime import MODULE
from ophis.web.single_file import single_page
from tests.support.made_bundle import write_made_bundle, write_network_bundle
from tests.support.page_actions import NAIROBI, NAMANGA, photo_at
from tests.support.page_browser import served, tried, write_page
from tests.support.web_pages import CONTROLLED, ask, require_same, until

INT8_TOLERANCE = 0.03  # of a probability: numbers between two steps round either way


@pytest.fixture(scope="module")
def files(imagenet17, engine):
    """Page with a real network."""
    return tried(web_files(imagenet17.bundle, engine))


def test_page_answers_like_python_online_and_offline(
    opened, files, imagenet17, synthetic_photo, tmp_path
):
    folder, photo = (
        write_page(tmp_path / "page", with_file_digests(files)),
        synthetic_photo.read_bytes(),
    )
    with served(folder) as address:
        page = opened(address)
        require_same(
            ask(page, [photo], country="KE"), imagenet17.identify(photo, country="KE").as_dict()
        )
        assert page.evaluate("backend.availableOffline()") is True
        until(page, CONTROLLED)
        assert {url for url in page.requests if not url.startswith(address)} == set()
        assert f"{address}{WEB_MODEL}" in page.requests
    page.requests.clear()
    page.reload()  # the server is gone
    require_same(ask(page, [photo]), imagenet17.identify(photo).as_dict())
    assert {url for url in page.requests if not url.startswith(address)} == set()
    assert page.messages == []


def test_single_file_answers_from_disk(
    opened, files, engine, imagenet17, synthetic_photo, tmp_path
):
    path, photo = tmp_path / "page.html", synthetic_photo.read_bytes()
    path.write_bytes(single_page(with_inline_engine(files), engine[MODULE]))
    page = opened(path.as_uri())
    require_same(
        ask(page, [photo, photo], country="IN", language="es"),
        imagenet17.identify([photo, photo], country="IN", language="es").as_dict(),
    )
    assert page.evaluate("backend.availableOffline()") is True
    assert {re.sub(":.*", "", url) for url in page.requests} == {"file", "blob"}
    assert [url for url in page.requests if url.startswith("file")] == [path.as_uri()]
    assert page.messages == []


def test_hundred_synthetic_photos_have_the_same_names_and_probabilities(
    opened, files, imagenet17, tmp_path
):
    scenes = sightings(100, seed=7)
    photos = [photograph(scene, seed=number).data for number, scene in enumerate(scenes)]
    with served(write_page(tmp_path / "page", files)) as address:
        page = opened(address)
        for photo in photos:
            require_same(ask(page, [photo]), imagenet17.identify(photo).as_dict())


def test_page_over_plain_http_answers_but_is_not_stored(browser, made, synthetic_photo, tmp_path):
    """Browsers provide no crypto.subtle and no service worker there."""
    from playwright.sync_api import Error

    files, bundle = made
    photo = synthetic_photo.read_bytes()
    with served(write_page(tmp_path / "page", files)) as address:
        context = browser.new_context()
        context.route("http://plain.test/**", lambda route: forward(route, address))
        page = context.new_page()
        try:
            page.goto("http://plain.test/")
        except Error as error:
            pytest.fail(str(error))
        assert page.evaluate("[isSecureContext, typeof crypto.subtle]") == [False, "undefined"]
        require_same(ask(page, [photo]), load(bundle).identify(photo).as_dict())
        assert page.evaluate("backend.availableOffline()") is False
        context.close()


def forward(route, address: str) -> None:
    """Forward a request for another host to the test server."""
    response = route.fetch(url=route.request.url.replace("http://plain.test/", address))
    route.fulfill(response=response)


def test_page_answers_at_a_position_like_python(opened, engine, synthetic_photo, tmp_path):
    """Given, and in the photo; with the records of each species."""
    species = SpeciesList(("Boa constrictor", "Naja naja", "Natrix natrix"))
    counts = CountryPrior(species, ("kenya", "tanzania"), np.array([[3, 2, 1], [1, 1, 4]]))
    records = Records.of(
        species, latitude=np.array([-1.3, -1.4, -1.3, 2]), longitude=np.array([36.8, 36.8, 37, 36]),
        column=np.array([0, 0, 1, 1]),
    )  # fmt: skip
    prior = LocationPrior(BayesPrior(counts), records)
    classifier = load(write_made_bundle(tmp_path / "bundle", species, prior=prior))
    files = tried(web_files(classifier.bundle, engine))
    with Image.open(photo_at(tmp_path, NAIROBI)) as placed, Image.open(synthetic_photo) as shown:
        shown.save(tmp_path / "photo.jpg", exif=placed.info["exif"])
    photo = (tmp_path / "photo.jpg").read_bytes()
    in_photo = classifier.identify(photo, gps=True).as_dict()
    assert in_photo["place_records"] == 3
    assert [guess["records"] for guess in in_photo["guesses"]].count(None) == 1
    with served(write_page(tmp_path / "page", with_file_digests(files))) as address:
        page = opened(address)
        require_same(ask(page, [photo], gps=True), in_photo)
        for place in (NAIROBI, NAMANGA, (-20.0, 75.0)):
            at = Position(*place, accuracy_km=0.5)
            expected = classifier.identify(photo, at=at).as_dict()
            require_same(ask(page, [photo], at=vars(at)), expected)
        until(page, CONTROLLED)
    page.reload()  # the server is gone; the records are stored
    require_same(ask(page, [photo], gps=True), classifier.identify(photo, gps=True).as_dict())
    path = tmp_path / "page.html"
    path.write_bytes(single_page(with_inline_engine(files), engine[MODULE]))
    page = opened(path.as_uri())
    require_same(ask(page, [photo], gps=True), classifier.identify(photo, gps=True).as_dict())


def write_convolving_bundle(folder, species: SpeciesList):
    """Write a bundle of two convolutions with global mean pooling."""
    rng = np.random.default_rng(3)

    def weights(*shape):
        return rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)

    numbers = {
        "first": weights(16, 3, 3, 3), "second": weights(32, 16, 3, 3),
        "head": weights(32, len(species)) * 8,
    }  # fmt: skip
    strides = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["pixels", "first"], ["one"], name="one", **strides),
        helper.make_node("Relu", ["one"], ["some"]),
        helper.make_node("Conv", ["some", "second"], ["two"], name="two", **strides),
        helper.make_node("Relu", ["two"], ["more"]),
        helper.make_node("GlobalAveragePool", ["more"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["logits"]),
    ]
    return write_network_bundle(folder, species, nodes, numbers)


def test_quantised_network_answers_like_python(answers, photo_sets, halves, tmp_path):
    """Integer arithmetic is equal up to a few rounding steps."""
    from ophis.train.export import quantise

    plain = write_convolving_bundle(tmp_path / "plain", halves[0].species_list())
    quantise(plain, tmp_path / "eight", train=halves[0], validation=halves[1], most_loss=1)
    classifier = load(tmp_path / "eight")
    kinds = {node.op_type for node in onnx.load(tmp_path / "eight" / MODEL).graph.node}
    assert "QuantizeLinear" in kinds
    for here, there in answers(classifier, *photo_sets, country="KE"):
        require_same(here, there, INT8_TOLERANCE)
