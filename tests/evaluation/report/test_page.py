import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import polars as pl
import pytest

from ophis import CountryPrior, Occurrences, SpeciesList, compare, read_recipe
from ophis.datasets.occurrences.cleaning import SCHEMA
from ophis.evaluation.report.examples import SaliencyMaps, overlay
from ophis.evaluation.report.page import small_percent, verdict, write_report
from ophis.evaluation.report.species_figures import class_distribution, country_distribution, gains
from ophis.evaluation.run import ScoredRun
from ophis.taxonomy.scientific_names import scientific_name
from tests.support.made_scores import EVIL, compared, made, photographed


@pytest.fixture
def pair():
    return tuple(made(60, 6, strength=s, seed=n) for n, s in ((1, 0.5), (2, 2.0)))


@pytest.fixture
def prior(pair):
    species = pair[0].species
    counts = np.array([[10 * 3**n for n in range(6)], [1] * 6])
    return CountryPrior(species, ("kenya", "UNKNOWN"), counts)


class Page(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs


def test_report_is_self_contained(pair, prior, tmp_path):
    comparison = compared(pair, prior)
    runs = tuple(
        ScoredRun(
            name, scores, prior=prior, recipe=read_recipe("paper_in1k"), facts={"a": {"b": 1}}
        )
        for name, scores in zip("AB", pair, strict=True)
    )
    path = write_report(comparison, tmp_path / "r.html", runs=runs)
    text = path.read_text()
    page = Page(text)
    sources = [value for name, value in page.attributes if name in ("src", "href", "xlink:href")]
    assert all(value.startswith(("data:", "#")) for value in sources)
    assert not {"link", "iframe", "object"} & set(page.tags)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for pointer in re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', text):
        assert "".join(pointer) in ids


def test_report_has_maps_of_the_species_with_the_largest_changes(pair, prior, tmp_path):
    comparison = compared(pair, prior)
    names = [row.species for row in comparison.per_species]
    rows = [(scientific_name(name), 20.5, 77.1 + n, None, "IN") for n, name in enumerate(names)]
    table = pl.DataFrame(rows[:2], schema=SCHEMA, orient="row")
    path = write_report(comparison, tmp_path / "r.html", records=Occurrences(table, {}))
    text = path.read_text()
    assert "Where they are recorded" in text
    ids = [value for name, value in Page(text).attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert sum(name.endswith("-shore") for name in ids) == 2
    assert len(list((tmp_path / "r-figures").glob("*.svg"))) >= 2
    assert "Where they are recorded" not in write_report(comparison, path).read_text()


def test_figures_are_written_as_svg_and_csv(pair, prior, tmp_path):
    runs = tuple(
        ScoredRun(name, scores, prior=prior, recipe=read_recipe("demo"))
        for name, scores in zip("AB", pair, strict=True)
    )
    write_report(compared(pair, prior), tmp_path / "r.html", runs=runs)
    folder = tmp_path / "r-figures"
    names = {path.stem for path in folder.iterdir()}
    assert names == {
        "gains", "class-distribution", "country-distribution", "learning-rate", "mixup-weights",
    }  # fmt: skip
    for name in names:
        root = ET.parse(folder / f"{name}.svg").getroot()  # noqa: S314 - written by this test
        assert root.tag.endswith("svg")
        assert len(pl.read_csv(folder / f"{name}.csv")) > 1


def test_names_of_files_species_and_models_are_escaped(tmp_path):
    ids = tuple(f"{EVIL}{n}.jpg" for n in range(12))
    names = (f"{EVIL} a", "Naja & naja", 'Bitis "x"')
    pair = [made(12, 3, strength=s, seed=n, names=names, ids=ids) for n, s in ((1, 0.0), (2, 3.0))]
    model = ("</script><b>A", EVIL)
    training = {names[0]: 9, names[1]: 90, names[2]: 900}
    comparison = compare(*pair, names=model, resamples=20, training_photos=training)
    prior = CountryPrior(pair[0].species, (EVIL.lower(), "$x$"), np.array([[1, 2, 3], [4, 5, 6]]))
    runs = tuple(
        ScoredRun(name, scores, prior=prior, recipe=read_recipe("demo"), facts={EVIL: EVIL})
        for name, scores in zip(model, pair, strict=True)
    )
    path = write_report(comparison, tmp_path / "r.html", runs=runs, maps_note=EVIL)
    page = Page(path.read_text())
    assert "img" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert page.tags.count("script") == 1


def test_figures_hold_the_published_counts(published_counts):
    """17 to 12,201 photos a species, 245,185 in all, 61.42 % from the USA."""
    prior = CountryPrior.from_counts(
        published_counts, SpeciesList(tuple(sorted(published_counts["species"].unique())))
    )
    classes, countries = class_distribution(prior), country_distribution(prior)
    photos = classes.numbers["photos"]
    assert (len(photos), photos[0], photos[-1], photos.sum()) == (783, 12_201, 17, 245_185)
    assert "783 species with 17 to 12,201 training photos each" in classes.caption
    assert len(countries.numbers) == 188
    assert round(countries.numbers["fraction"][0], 4) == 0.6142
    assert "61.42% of the photos come from United States of America" in countries.caption


@pytest.mark.parametrize(
    ("fewest", "most", "labels"),
    [(53, 238, ["50", "100", "200"]), (8, 150, ["10", "20", "50", "100"]), (17, 12_201, ["1,000"])],
)
def test_ticks_of_logarithmic_axis_are_plain_numbers(pair, fewest, most, labels):
    counts = np.geomspace(fewest, most, 6).round().astype(int)[None]
    prior = CountryPrior(pair[0].species, ("UNKNOWN",), counts)
    figure = gains(compared(pair, prior))
    assert figure
    shown = re.findall(r"<text[^>]*>(.*?)</text>", figure.svg)
    assert set(labels) <= set(shown)
    assert not [text for text in shown if "math" in text or "10^" in text]


def test_unknown_country_is_not_shown_as_a_country(pair):
    prior = CountryPrior(pair[0].species, ("UNKNOWN",), np.ones((1, 6), int))
    assert "100.00% of the photos show no known country" in country_distribution(prior).caption


def test_report_is_deterministic(pair, prior, tmp_path):
    texts = []
    for name in ("one", "two"):
        runs = tuple(ScoredRun(n, s, prior=prior) for n, s in zip("AB", pair, strict=True))
        texts.append(
            write_report(compared(pair, prior), tmp_path / name / "r.html", runs=runs).read_text()
        )
    assert texts[0] == texts[1]


def test_photos_and_maps_are_shown_and_missing_photo_is_skipped(pair, prior, tmp_path):
    comparison = compared(pair, prior)
    manifest = photographed(tmp_path, pair[0])
    first, second = (x.photo_id for x in comparison.gains_of_b[:2])
    (tmp_path / second).unlink()
    saliency = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    maps = {first: SaliencyMaps((saliency, saliency), (0.1, 0.25), (0.5, 0.75))}
    path = write_report(comparison, tmp_path / "r.html", photos=manifest, maps=maps)
    page = Page(path.read_text())
    shown = min(12, len(comparison.gains_of_b)) + min(12, len(comparison.gains_of_a))
    assert page.tags.count("img") == shown - 1 + 2
    assert (
        "concentration of the maps: A 0.100, B 0.250; mass inside the box 50.00 % and 75.00 %"
        in path.read_text().replace("\N{NO-BREAK SPACE}", " ")
    )


def test_overlay_is_grey_without_saliency_and_coloured_with_it():
    photo = np.full((40, 40, 3), 200, np.uint8)
    saliency = np.zeros((80, 80), np.float32)
    saliency[:40] = 1
    shown = overlay(photo, saliency)
    assert shown.shape == (40, 40, 3)
    assert np.ptp(shown[-1].astype(int), axis=1).max() == 0  # grey
    assert np.ptp(shown[0].astype(int), axis=1).min() > 50
    assert (overlay(photo, np.zeros((80, 80), np.float32)) == shown[-1, -1]).all()


@pytest.mark.parametrize(
    ("strengths", "words"),
    [
        ((0.0, 6.0), "B names more photos correctly: top-1 is"),
        ((6.0, 0.0), "B names fewer photos correctly: top-1 is"),
        ((1.0, 1.0), "do not show which model is better"),
    ],
)
def test_verdict_follows_the_interval(strengths, words):
    pair = [made(80, 5, strength=s, seed=n) for n, s in enumerate(strengths)]
    assert words in verdict(compare(*pair, resamples=200))


@pytest.mark.parametrize(("photos", "warned"), [(14, True), (60, False)])
def test_few_photos_of_most_species_are_warned_of(photos, warned, tmp_path):
    pair = tuple(made(photos, 6, strength=1.0, seed=n) for n in (1, 2))
    comparison = compare(*pair, resamples=20)
    text = write_report(comparison, tmp_path / "r.html").read_text()
    words = "<strong>Macro F1 depends on the number of photos: more than half of the species"
    assert (words in text) == warned
    assert f"the mean over the {len(comparison.per_species)} species with photos" in text


def test_very_small_fraction_is_not_shown_as_zero():
    assert small_percent(0.25) == "25.0\N{NO-BREAK SPACE}%"
    assert small_percent(3e-9) == "3e-07\N{NO-BREAK SPACE}%"


def test_report_of_paper_size_is_under_5_megabytes(tmp_path):
    pair = [made(14_029, 783, strength=s, seed=n) for n, s in ((1, 3.0), (2, 4.0))]
    species = pair[0].species
    counts = np.random.default_rng(0).integers(1, 3000, (188, 783))
    prior = CountryPrior(species, tuple(f"country {n}" for n in range(188)), counts)
    comparison = compare(*pair, training_photos=prior.species_photos(), resamples=200)
    wanted = [x.photo_id for x in (*comparison.gains_of_b[:12], *comparison.gains_of_a[:12])]
    place = {photo: row for row, photo in enumerate(pair[0].photo_ids)}
    manifest = photographed(tmp_path, pair[0].take(np.array([place[x] for x in wanted])))
    rng = np.random.default_rng(0)
    maps = {
        photo: SaliencyMaps(tuple(rng.random((2, 456, 456)).astype(np.float32)), (0.1, 0.1))
        for photo in wanted
    }
    runs = tuple(
        ScoredRun(name, scores, prior=prior, recipe=read_recipe("paper_in1k"))
        for name, scores in zip("AB", pair, strict=True)
    )
    path = write_report(comparison, tmp_path / "r.html", runs=runs, photos=manifest, maps=maps)
    assert Page(path.read_text()).tags.count("img") == 3 * len(wanted) + 3  # and the mixup
    assert path.stat().st_size < 5_000_000
