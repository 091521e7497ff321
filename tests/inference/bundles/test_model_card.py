"""Model cards: evaluation results, and metadata that the Hub's client reads."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData

from ophis import CountryPrior, InputError, Scores, SpeciesList, evaluate
from ophis.datasets.training_photos import TRAINING_PHOTOS, first_bytes, write_training_photos
from ophis.decision.calibration import fit_temperature
from ophis.decision.rule import fit_rule
from ophis.evaluation.results import EvaluationResults, evaluate_bundle, read_results
from ophis.evaluation.run import ScoredRun
from ophis.inference.bundles.bundle import BundleWriter, read_bundle
from ophis.inference.bundles.model_card import card, card_text, imagenet17_card
from tests.support.made_bundle import write_made_bundle

# Antaresia childreni is not known to be dangerous, the others are venomous.
SPECIES = SpeciesList(("Vipera berus", "Naja naja", "Antaresia childreni"))


@pytest.fixture(scope="module")
def scores() -> Scores:
    rng = np.random.default_rng(0)
    truth = np.arange(240) % 3
    logits = 2.5 * np.eye(3)[truth] + rng.normal(size=(240, 3))
    logits[0] = (0, 0, 9)  # a viper taken for it
    names = tuple(map(str, range(240)))
    countries = tuple(("france", "india", "UNKNOWN")[n % 3] for n in range(240))
    sha256 = rng.integers(0, 256, (240, 32), np.uint8)
    return Scores(logits, SPECIES, names, truth, countries, names, sha256=sha256)


@pytest.fixture(scope="module")
def parts(scores):
    calibration = fit_temperature(scores)
    prior = CountryPrior(SPECIES, ("france", "india"), np.array([[9, 1, 9], [1, 20, 0]]))
    rule = fit_rule(scores, calibration=calibration, prior=prior)
    return {"calibration": calibration, "prior": prior, "rule": rule}


@pytest.fixture(scope="module")
def results(scores, parts) -> EvaluationResults:
    return evaluate_bundle(
        scores, **parts, counts=parts["prior"], about={"title": "Made", "license": "mit"}
    )


def test_results_equal_evaluate(scores, results, tmp_path):
    figures = results.metrics[0]
    expected = evaluate(scores)
    for name in ("top1", "top5", "macro_f1"):
        found = figures[name]
        assert found["value"] == pytest.approx(getattr(expected, name))
        assert found["low"] <= found["value"] <= found["high"]
    # The interval is close to a binomial one.
    top1 = figures["top1"]["value"]
    width = 3.92 * np.sqrt(top1 * (1 - top1) / 240)
    assert figures["top1"]["high"] - figures["top1"]["low"] == pytest.approx(width, rel=0.15)
    assert results.training["photos"] == 40
    assert results.validation["without_country"] == 80
    assert read_results(results.write(tmp_path / "m.json")) == results


def test_dangerous_confusions_are_listed(scores, results, parts):
    rows = results.dangerous_confusions
    assert all(row["taken_for"] == "Antaresia childreni" for row in rows)
    wrong = (scores.truth != 2) & (scores.logits.argmax(1) == 2)
    assert sum(row["photos"] for row in rows) == wrong.sum()
    text = card_text(SPECIES, results, **parts)
    assert "**May be dangerous, taken for one not known to be dangerous**" in text
    assert "| Vipera berus | Antaresia childreni |" in text


def test_card_has_floor_of_ece_and_warns_of_few_photos(results, parts):
    text = card_text(SPECIES, results, **parts)
    assert "| ECE | ECE floor | debiased RMS error |" in text
    assert f"| {results.reliability[0]['ece_floor']:.4f} |" in text
    assert "Macro F1 depends" not in text
    few = tuple(row | {"few_photos": 2, "species": 3} for row in results.metrics)
    text = card_text(SPECIES, replace(results, metrics=few), **parts)
    assert "more than half of the species (2 of 3) have fewer than 5" in text


def flat(text: str) -> str:
    return " ".join(text.split())


def test_card_states_number_of_snakes_and_kind_of_guarantee(scores, parts):
    """240 snakes, 160 of them dangerous; those of the third species have no country."""
    results = evaluate_bundle(scores, **parts)
    text = flat(card_text(SPECIES, results, **parts))
    assert "160 validation snakes that may be dangerous are too few" in text
    assert "which needs 299: every answer carries the warning" in text
    assert "rest on 240 validation snakes, one photo of each, 160 of them of species that" in text
    assert "95% of the time, on average over such bundles" in text
    assert "because only 160 of these snakes have a country that training knows" in text
    for confidence, kind in ((None, "on average over such bundles"), (0.6, "with 60% confidence")):
        rule = fit_rule(
            scores, calibration=parts["calibration"], prior=parts["prior"], confidence=confidence
        )
        given = parts | {"rule": rule}
        text = flat(card_text(SPECIES, evaluate_bundle(scores, **given), **given))
        assert f"(guaranteed {kind}, by 160 such snakes, for photos like those" in text


def test_card_of_few_snakes_has_no_guarantee(scores, parts):
    """Ten photos of each of 24 snakes are 24 snakes."""
    names = tuple(f"{n % 3} {n // 30}" for n in range(240))
    few = replace(scores, observations=names, countries=("india",) * 240)
    given = parts | {"rule": fit_rule(few, prior=parts["prior"])}
    results = evaluate_bundle(few, **given)
    assert results.guarantees["snakes"] == 24
    assert results.guarantees["country_snakes"] == 24
    for name in ("names", "country", "danger"):
        assert not results.guarantees[f"{name}_guaranteed"]
    text = flat(card_text(SPECIES, results, **given))
    assert "16 validation snakes that may be dangerous are too few" in text
    assert "They are too few for a guarantee on the names: a kind with fewer than 19" in text
    assert "because only 24 of these snakes have a country that training knows" in text


def test_card_without_results_states_not_measured():
    text = card_text(SPECIES, EvaluationResults(), calibration=None, prior=None, rule=None)
    assert text.count("ot measured") >= 6
    assert "Not evaluated on photos that are known to lie outside the training data." in text
    assert "%" not in text.split("## Limitations")[0]
    head = yaml.safe_load(text.split("---")[1])
    assert "license" not in head
    assert "model-index" not in head


def test_hub_client_reads_metadata_and_results(results, parts):
    read = ModelCard(card_text(SPECIES, results, **parts), ignore_metadata_errors=False)
    assert isinstance(read.data, ModelCardData)
    assert read.data.library_name == "ophis"
    assert read.data.license == "mit"
    assert read.data.pipeline_tag == "image-classification"
    assert read.data.eval_results is not None
    named = {result.metric_name: result.metric_value for result in read.data.eval_results}
    assert named["top-1"] == round(results.metrics[0]["top1"]["value"], 4)
    assert named.keys() == {"top-1", "top-5", "macro F1"}
    registered = ModelCard(imagenet17_card(SPECIES), ignore_metadata_errors=False)
    assert isinstance(registered.data, ModelCardData)
    assert registered.data.license == "apache-2.0"


EVIL = '<script>alert("1")</script> | *x* ](javascript:1) <img src=x> `a'


def test_names_in_card_are_escaped():
    species = SpeciesList((EVIL, "Naja naja", "Boa boa"))
    rng = np.random.default_rng(0)
    names = tuple(map(str, range(240)))
    scores = Scores(
        rng.normal(size=(240, 3)), species, names, np.arange(240) % 3, (EVIL,) * 240, names
    )
    parts = dict.fromkeys(("calibration", "prior", "rule"))
    text = card_text(species, evaluate_bundle(scores, **parts, counts=None, about={}), **parts)
    text += imagenet17_card(species)
    assert text.count("script") > 4
    assert re.search(r"(?<!\\)<(script|img)|(?<!\\)\]\(javascript", text) is None
    rows = [line for line in text.splitlines() if "alert" in line and line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {4, 5}


def test_card_is_updated_with_new_results(scores, tmp_path):
    bundle = read_bundle(write_made_bundle(tmp_path / "bundle", SPECIES))
    before = card(bundle.folder)
    assert (before.results, before.version) == (EvaluationResults(), bundle.version)
    assert "Not evaluated on photos" in before.text
    facts = {"validation": {"sha256": "0" * 64}}
    run = ScoredRun("x", scores, facts=facts)
    after = card(bundle.folder, run=run, license="cc-by-4.0", write=True)
    assert after.version != bundle.version
    assert read_bundle(bundle.folder).version == after.version
    assert (bundle.folder / "README.md").read_text() == after.text
    assert "license: cc-by-4.0" in after.text
    assert read_results(bundle.folder / "evaluation.json").facts == facts
    assert card(bundle.folder).text == after.text


def test_card_refuses_scores_of_photos_that_may_be_training_photos(scores, tmp_path):
    folder = write_made_bundle(tmp_path / "bundle", SPECIES)
    card(folder, run=ScoredRun("x", scores))
    with pytest.raises(InputError, match="the scores hold no sha256 of the photos"):
        card(folder, run=ScoredRun("x", replace(scores, sha256=None)))
    assert scores.sha256 is not None
    with BundleWriter(folder) as writer:
        writer.copy(read_bundle(folder))
        write_training_photos(writer.folder, first_bytes(scores.sha256[7:9]))
    with pytest.raises(InputError, match=r"validation: 2 of 240 photos .* the first is '7'; take"):
        card(folder, run=ScoredRun("x", scores))
    (folder / TRAINING_PHOTOS).unlink()
    with pytest.raises(InputError, match=r"training_photos.npz is missing, so the validation"):
        card(folder, run=ScoredRun("x", scores))


def test_optional_files_may_be_missing_and_are_validated(tmp_path, results):
    folder = write_made_bundle(tmp_path / "bundle", SPECIES)
    with BundleWriter(folder) as writer:
        writer.copy(read_bundle(folder))
        results.write(writer.folder / "evaluation.json")
    version = read_bundle(folder).version
    (folder / "README.md").unlink()
    (folder / "evaluation.json").unlink()
    assert read_bundle(folder).version == version
    index = json.loads((folder / "bundle.json").read_text())
    index["files"].pop("evaluation.json")
    (folder / "bundle.json").write_text(json.dumps(index))
    (folder / "evaluation.json").write_text('{"metrics": [{"photos": "many"}]}')
    with pytest.raises(InputError, match=r"evaluation.json: not evaluation results"):
        card(folder)


def test_card_rejects_results_of_other_species(scores, tmp_path):
    folder = write_made_bundle(tmp_path / "bundle", SpeciesList(("a", "b", "c")))
    with pytest.raises(InputError, match="is in one list of species only"):
        card(folder, run=ScoredRun("x", replace(scores)))
