"""Bounds of rules, calibrations and self-tests on the page: it refuses what Python refuses."""

import json
import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ophis import InputError
from ophis.decision.calibration import read_calibration
from ophis.decision.rule import read_rule
from ophis.decision.verdict import Verdict
from ophis.inference.bundles.index import CALIBRATION, DECISION, SELFTEST
from ophis.inference.self_test import SelfTest
from ophis.web.facts import facts_of
from tests.support.classifiers import SPECIES as THREE
from tests.support.decision_bundles import BUNDLES, SPECIES
from tests.support.made_bundle import write_made_bundle
from tests.support.web_pages import opened_modules

CHECK = """async (several) => {
  const {requireBounds} = await import(`${location.origin}/rule_check.js`);
  return several.map((facts) => {
    try { requireBounds(facts); return null; } catch (error) { return error.message; }
  });
}"""
COUNT = len(SPECIES)
# Path in the rule, least coverage, least threshold.
SETS = ((("image", "names"), 0.95, 0.8), (("image", "danger"), 0.99, 0), (("country",), 0.95, 0.8))


@pytest.fixture(scope="module")
def check(browser, tmp_path_factory):
    """Return a function that gives the page's message for each of several facts.json."""
    with opened_modules(browser, tmp_path_factory.mktemp("page")) as page:
        yield lambda several: page.evaluate(CHECK, several)


@cache
def facts_as_json() -> str:
    made, _ = facts_of(BUNDLES["counts, evaluated"])
    checked = ("species", "members", "calibration", "rule", "selftests")
    return json.dumps({name: made[name] for name in checked})


def facts() -> dict[str, Any]:
    """Return the checked facts of a bundle whose thresholds are all finite."""
    made: dict[str, Any] = json.loads(facts_as_json())
    return made


def changed(path: tuple[str, ...], values: dict[str, Any]) -> dict[str, Any]:
    """Return facts of which some values of the rule are changed; ``...`` removes one."""
    made = facts()
    part = made["rule"]
    for name in path:
        part = part[name]
    part |= values
    for name in [name for name, value in values.items() if value is ...]:
        del part[name]
    return made


def changes_of_sets(coverage: float, threshold: float) -> Iterator[dict[str, Any]]:
    """Yield changed values of sets, at and beyond each bound."""
    below = math.nextafter(coverage, 0)
    for value in (coverage, below, 0, -1, 1, 2, True, "0.99", None, ...):
        yield {"coverage": value}
    for value in (threshold, math.nextafter(threshold, -1), -1, 0.5, 1e9, True, "0.9", None):
        yield {"thresholds": [value] * COUNT}
        yield {"thresholds": [1] * (COUNT - 1) + [value]}
    for value in (-5, 0, 18, 19, 98, 99, 298, 299, 18.5, True, "900", None):
        yield {"observations": [value] * COUNT}
        yield {"observations": [value] * COUNT, "thresholds": [None] * COUNT}
        yield {"observations": [value] * COUNT, "confidence": None}
    for value in (0, 1e-9, 0.5, 0.999, 1, -1, True, "0.95", ...):
        yield {"observations": [99] * COUNT, "confidence": value}
    for value in ([], [1], [1] * (COUNT + 1), {}, "x" * COUNT, 3, None, ...):
        yield {"thresholds": value}
        yield {"observations": value}


def altered() -> Iterator[dict[str, Any]]:
    """Yield facts with a changed rule, and first those of a bundle."""
    yield facts()
    for path, coverage, threshold in SETS:
        for values in changes_of_sets(coverage, threshold):
            yield changed(path, values)
        for value in (..., {}, [], 3, "energy", True):
            yield changed(path[:-1], {path[-1]: value})
    for name, values in {
        "by": ("energy", "vibes"),
        "limit": (None, -1, 1e9, "far", True),
        "passing": (0.5, 0, 1, -1, "0.5", None),
    }.items():
        for value in (*values, ...):
            yield changed(("ood",), {name: value})
    for name in ("ood", "image"):
        for value in (..., {}, [], 3, "energy", True):
            yield changed((), {name: value})


def refused(path: Path, read: Callable[[Path], object], values: dict[str, Any]) -> bool:
    """Return whether Python refuses the values as content of a file."""
    path.write_text(json.dumps(values))
    try:
        read(path)
    except InputError:
        return True
    return False


def test_page_refuses_the_rules_that_python_refuses(check, tmp_path):
    several, path = list(altered()), tmp_path / DECISION
    expected = [refused(path, lambda file: read_rule(file, SPECIES), x["rule"]) for x in several]
    messages = check(several)
    for made, message, wrong in zip(several, messages, expected, strict=True):
        assert (message is not None) == wrong, (made["rule"], message)
        assert message is None or message.startswith("facts.json: ")
    assert 50 < sum(expected) < len(expected) - 50


def test_page_refuses_the_calibrations_that_python_refuses(check, tmp_path):
    values = (1, 1e-6, 1e6, 1e3, -1e3, -1e6, 1e300, 0, 0.9e-6, 1.1e3, True, "1", None, {}, [])
    calibrations: list[Any] = [
        {"scale": 1, "offset": 0} | {name: form}
        for name in ("scale", "offset")
        for value in values
        for form in (value, [value] * COUNT, [1] * (COUNT - 1) + [value], [value, 1])
    ]
    calibrations += [{"scale": 1}, {"offset": 0}, {}]
    path = tmp_path / CALIBRATION
    expected = [
        refused(path, lambda file: read_calibration(file, SPECIES), x) for x in calibrations
    ]
    assert 50 < sum(expected) < len(expected) - 20
    for place in (lambda made: made, lambda made: made["members"][0]):
        several = [facts() for _ in calibrations]
        for made, calibration in zip(several, calibrations, strict=True):
            place(made)["calibration"] = calibration
        for made, message, wrong in zip(several, check(several), expected, strict=True):
            assert (message is not None) == wrong, (place(made)["calibration"], message)


def test_facts_hold_the_rule_of_the_bundle():
    for made in BUNDLES.values():
        assert facts_of(made)[0]["rule"] == (made.rule.as_dict() if made.rule else None)


@pytest.mark.parametrize("field", ["rule", "calibration", "selftests", "members", "species"])
def test_facts_that_lack_a_part_are_refused(check, field):
    lacking = [facts() for _ in range(4)]
    del lacking[0][field]
    for made, wrong in zip(lacking[1:], (3, "none", {}), strict=True):
        made[field] = wrong
    assert all(message.startswith("facts.json: ") for message in check(lacking))


def test_species_without_danger_and_networks_without_entry_are_refused(check):
    several = [facts() for _ in range(3)]
    del several[0]["species"][3]["dangerous"]
    several[1]["species"][3]["dangerous"] = 0
    several[2]["selftests"] = []
    assert all(message.startswith("facts.json: ") for message in check(several))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Any]:
    """Return the values of a selftest.json."""
    folder = write_made_bundle(tmp_path_factory.mktemp("tested") / "bundle", THREE, selftest=True)
    return json.loads((folder / SELFTEST).read_text())


def on_the_page(written: dict[str, Any], **values: object) -> dict[str, Any]:
    """Return facts with the first photo of a self-test, of which some values are changed."""
    made = facts()
    test = {name: written[f"{name}s"][0] for name in ("photo", "verdict")}
    test |= {"logits": written["logits"][0], "tolerance": written["tolerance"]} | values
    made["selftests"] = [{name: value for name, value in test.items() if value is not ...}]
    return made


def test_page_refuses_the_self_tests_that_python_refuses(check, written, tmp_path):
    path, tolerances = tmp_path / SELFTEST, (0, 0.1, 0.11, 5, -1, True, "0.05", None)
    verdicts = (*Verdict, "fine", "", None, 3)
    several: list[dict[str, Any]] = [{"tolerance": value} for value in tolerances]
    several += [{"verdicts": [value] * 3} for value in verdicts]
    expected = [refused(path, SelfTest.read, written | values) for values in several]
    assert expected == [False] * 2 + [True] * 6 + [False] * 2 + [True] * 4
    shown = [on_the_page(written, tolerance=value) for value in tolerances]
    shown += [on_the_page(written, verdict=value) for value in verdicts]
    assert [message is not None for message in check(shown)] == expected


@pytest.mark.parametrize("field", ["photo", "logits", "tolerance", "verdict"])
def test_self_test_that_proves_nothing_is_refused(check, written, field):
    """Without a photo, a verdict or numbers; Python reads a null among the logits as NaN."""
    wrong = [..., None, "", 3, {}, [None, 1, 2], ["far"] * 3]
    if field == "tolerance":
        wrong.remove(3)
        wrong.append(math.nextafter(0.1, 1))
    if field == "logits":
        wrong.remove("")  # another number of logits than the network's is found when it runs
    several = [on_the_page(written, **{field: value}) for value in wrong]
    assert all(message.startswith("facts.json: ") for message in check(several))
