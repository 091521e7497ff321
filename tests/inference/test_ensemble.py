"""Ensemble bundles, on small real networks trained for a few steps."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

import ophis
from ophis import CountryPrior, InputError, PhotoError, Scores, SpeciesList
from ophis.cli import main
from ophis.datasets.training_photos import (
    TRAINING_PHOTOS,
    content_digests,
    read_training_photos,
)
from ophis.decision.decision import State
from ophis.decision.guarantees import Guarantees
from ophis.decision.verdict import Verdict
from ophis.images.decode import read_photo
from ophis.images.test_time_augmentation import NO_TTA, network_input, tta_crops
from ophis.inference.answer import LeftOut
from ophis.inference.bundles.bundle import read_bundle
from ophis.inference.bundles.index import files_for_answers
from ophis.inference.ensemble import _prior, combine
from ophis.priors.bayes import BayesPrior
from ophis.priors.location import LocationPrior
from ophis.priors.overrides import Override
from ophis.priors.records import Records
from ophis.scores.aggregation import aggregate_observations
from ophis.scores.ensemble import ensemble
from ophis.train import fit
from ophis.train.export import export, export_imagenet17


@pytest.fixture(scope="module")
def parts(coloured):
    return coloured.take(np.arange(24)), coloured.take(np.arange(24, 36))


@pytest.fixture(scope="module")
def bundles(parts, small, tmp_path_factory):
    """Two seeds; the second has another species order and input size."""
    folder = tmp_path_factory.mktemp("bundles")
    order = SpeciesList(tuple(reversed(parts[0].species_list().names)))
    made = []
    for name, species, pixels in (("a", None, 32), ("b", order, 40)):
        recipe = small(steps=6, head="random", seed=len(made), test_pixels=pixels)
        run = fit(
            recipe,
            train=parts[0],
            validation=parts[1],
            out=folder / f"run-{name}",
            species=species,
        )
        made.append(export(run, folder / name))
    return made


@pytest.fixture(scope="module")
def both(bundles, parts, tmp_path_factory):
    out = tmp_path_factory.mktemp("both") / "both"
    results = combine(bundles, out, validation=parts[1], tta=["flip"])
    return out, results


def test_ensemble_bundle_averages_its_members(both, bundles, parts):
    classifier = ophis.load(both[0])
    found = classifier.score(parts[1])
    flipped = [ophis.load(bundle).score(parts[1], tta=tta_crops("flip")) for bundle in bundles]
    expected = ensemble(flipped)
    assert found.photo_ids == expected.photo_ids
    assert found.species == ophis.load(bundles[0]).bundle.species
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)
    assert found.ood_score is not None
    assert expected.ood_score is not None
    np.testing.assert_allclose(found.ood_score, expected.ood_score, rtol=1e-5)


def test_tta_averages_crops_of_each_photo(bundles, parts):
    classifier = ophis.load(bundles[0])
    seen = tta_crops("flip", "crops")
    found = classifier.score(parts[1], tta=seen)
    network = classifier.networks[0]
    for row, path in enumerate(parts[1].paths()[:4]):
        logits, _ = network.outputs(
            network_input(read_photo(path), network.member.preprocessing, seen)
        )
        np.testing.assert_allclose(found.logits[row], logits.mean(axis=0), atol=1e-5)
    assert np.abs(found.logits - classifier.score(parts[1]).logits).max() > 1e-3


def test_identify_equals_score(both, parts):
    classifier = ophis.load(both[0])
    scores = classifier.score(parts[1])
    prior = classifier.bundle.prior
    assert prior
    for row in range(4):
        answer = classifier.identify(parts[1].paths()[row], country="Kenya", top=1)
        there = replace(scores.take(np.array([row])), countries=("kenya",))
        expected = prior.adjust(there).probabilities().max()
        assert answer[0].probability == pytest.approx(expected, abs=1e-5)
        assert answer.bundle == classifier.bundle.version


def test_results_and_card_are_of_the_validation_photos(both, bundles, parts):
    out, results = both
    assert [row.name for row in results] == [*map(str, bundles), "together"]
    assert results[-1].evaluation == ophis.evaluate(ophis.load(out).score(parts[1]))
    assert results[0].evaluation == ophis.evaluate(ophis.load(bundles[0]).score(parts[1]))
    assert all(row.milliseconds > 0 for row in results)
    card = (out / "README.md").read_text()
    assert "2 networks for 3 species, an ensemble" in card
    assert "in 2 crops" in card
    assert f"| together | {results[-1].evaluation.top1:.1%} |" in card


def test_prior_and_rule_of_ensemble_are_refitted(both, bundles):
    mine, first = read_bundle(both[0]), read_bundle(bundles[0])
    assert isinstance(mine.prior, BayesPrior)
    assert isinstance(first.prior, BayesPrior)
    np.testing.assert_array_equal(mine.prior.counts.counts, first.prior.counts.counts)
    assert mine.rule
    assert (len(mine.members), mine.tta) == (2, tta_crops("flip"))
    assert (len(first.members), first.tta) == (1, NO_TTA)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: (f / "member-1" / "model.onnx").write_bytes(b"x"), "its checksum differs"),
        (lambda f: (f / "tta.json").write_text("[]"), "its checksum differs"),
        (lambda f: shutil.rmtree(f / "member-2"), "is not a bundle: bundle.json is missing"),
        (
            lambda f: (
                shutil.rmtree(f / "member-2"),
                shutil.copytree(f / "member-1", f / "member-2"),
            ),
            "copy the whole ensemble again",
        ),
    ],
)
def test_load_rejects_changed_member(both, tmp_path, harm, words):
    copy = shutil.copytree(both[0], tmp_path / "copy")
    assert ophis.load(copy).bundle.version == ophis.load(both[0]).bundle.version
    harm(copy)
    with pytest.raises(InputError, match=words):
        ophis.load(copy)


def test_combine_rejects_unsuitable_bundles(both, bundles, parts, tmp_path, capsys):
    def error_of(*given, **options) -> str:
        with pytest.raises(InputError) as error:
            combine(given, tmp_path / "out", validation=parts[1], **options)
        assert not (tmp_path / "out").exists()
        return str(error.value)

    assert "nothing to combine" in error_of(bundles[0])
    assert "is the same bundle as another" in error_of(bundles[0], bundles[0])
    assert "is a combination already" in error_of(both[0], bundles[0])
    other = export_imagenet17(tmp_path / "imagenet17")
    assert "is known to only one of" in error_of(bundles[0], other)


def test_combine_rejects_bad_output_or_validation_before_scoring(bundles, parts, tmp_path):
    def error_of(out, validation) -> str:
        counted: list[int] = []
        with pytest.raises(InputError) as error:
            combine(bundles, out, validation=validation, progress=counted.append)
        assert not counted
        return str(error.value)

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    assert "holds something that is no bundle" in error_of(tmp_path / "full", parts[1])
    assert "an input of this command" in error_of(bundles[1], parts[1])
    nameless = parts[1].table.with_columns(species=pl.lit(None, pl.String))
    unlabelled = replace(parts[1], table=nameless)
    assert "no validation photo has a species" in error_of(tmp_path / "out", unlabelled)


def test_combine_refuses_photos_of_the_training(bundles, parts, tmp_path, monkeypatch, capsys):
    """By their content: one stands under another name, and elsewhere."""
    monkeypatch.chdir(tmp_path.parent)  # the photos are in it
    folder = tmp_path / "elsewhere"
    shutil.copytree(parts[1].folder, folder)
    shutil.copy(parts[0].paths()[5], folder / "new.png")
    new = parts[0].table[5:6].with_columns(photo=pl.lit("new.png"), photo_id=pl.lit("new.png"))
    copied = replace(parts[1], table=pl.concat([parts[1].table, new]), folder=folder)
    for validation, number, name in ((parts[0], 24, "0.png"), (copied, 1, "new.png")):
        line = f"{number} of {len(validation)} photos are training photos too, .* is '{name}'; take"
        with pytest.raises(InputError, match=line):
            combine(bundles, tmp_path / "out", validation=validation, progress=pytest.fail)
        table = validation.write(tmp_path / "validation.csv")
        with pytest.raises(SystemExit) as done:
            main(["combine", *map(str, bundles), "--validation", str(table),
                  "--out", str(tmp_path / "out")])  # fmt: skip
        assert done.value.code == 2
        assert re.fullmatch(f"ophis: validation: {line}.*\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_training_photos_of_members_are_joined(both, bundles, parts):
    expected = sorted(content_digests(parts[0]).tolist())
    for folder in (*bundles, both[0], both[0] / "member-1"):
        found = read_training_photos(folder)
        assert found is not None
        assert found.tolist() == expected
    _, names = files_for_answers(both[0])
    assert TRAINING_PHOTOS not in {*files_for_answers(both[0])[0], *names}


def test_unknown_training_photos_leave_no_guarantee(bundles, parts, tmp_path, caplog):
    home = shutil.copytree(bundles[0], tmp_path / "home")
    (home / TRAINING_PHOTOS).unlink()
    out = tmp_path / "out"
    combine([home, bundles[1]], out, validation=parts[0])
    assert f"{home}: {TRAINING_PHOTOS} is missing, so the validation photos may be" in caplog.text
    bundle = read_bundle(out)
    assert (bundle.calibration, bundle.rule) == (None, None)
    assert isinstance(bundle.prior, BayesPrior)
    card = (out / "README.md").read_text()
    assert "The training photos are not known" in card
    assert "there are no guarantees" in card
    assert "outside the training data, without the country" not in card
    answer = ophis.load(out).identify(parts[1].paths()[0])
    assert answer.verdict is Verdict.MAY_BE_VENOMOUS
    assert not answer.evaluated


def test_ensemble_inside_member_copies_only_its_files(bundles, parts, tmp_path):
    home = shutil.copytree(bundles[0], tmp_path / "home")
    combine([home], home / "both", validation=parts[1], tta=["flip"])
    listed = json.loads((home / "bundle.json").read_text())["files"]
    found = {path.name for path in (home / "both" / "member-1").iterdir()}
    assert found == {*listed, "bundle.json"} - {"model.safetensors"}  # not needed for answers
    assert ophis.load(home / "both").bundle.tta == tta_crops("flip")


@pytest.mark.usefixtures("in_base")
def test_combine_and_score_commands(bundles, parts, tmp_path, capsys):
    table = parts[1].write(tmp_path / "validation.csv")
    with pytest.raises(SystemExit) as done:
        main(
            ["combine", *map(str, bundles), "--validation", str(table), "--tta", "crops", "--json",
             "--out", str(tmp_path / "out")]
        )  # fmt: skip
    assert done.value.code == 0
    rows = json.loads(capsys.readouterr().out)["results"]
    last = parts[1].table[-1:].with_columns(photo_id=pl.lit("gone"), photo=pl.lit("gone.png"))
    gone = replace(parts[1], table=pl.concat([parts[1].table, last])).write(tmp_path / "gone.csv")
    with pytest.raises(SystemExit) as done:
        main(
            ["combine", str(bundles[0]), "--validation", str(gone), "--tta", "flip",
             "--out", str(tmp_path / "out")]
        )  # fmt: skip
    assert done.value.code == 1
    assert "gone.png: " in capsys.readouterr().err
    assert [row["bundle"] for row in rows] == [*map(str, bundles), "together"]
    assert {"milliseconds", "top1", "macro_f1"} <= rows[0].keys()
    with pytest.raises(SystemExit) as done:
        main(
            [
                "score",
                str(bundles[0]),
                str(table),
                "--tta",
                "flip",
                "--out",
                str(tmp_path / "s.npz"),
            ]
        )
    assert done.value.code == 0
    expected = ophis.load(bundles[0]).score(parts[1], tta=tta_crops("flip"))
    np.testing.assert_allclose(
        ophis.read_scores(tmp_path / "s.npz").logits, expected.logits, atol=1e-5
    )


def test_photos_of_one_snake_give_one_answer(bundles, parts):
    classifier = ophis.load(bundles[0])
    paths = parts[1].paths()[:3]
    answer = classifier.identify(paths, top=3)
    scores = classifier.score(parts[1].take(np.arange(3)))
    unlabelled = replace(scores, observations=("",) * 3, truth=np.full(3, -1))
    expected = aggregate_observations(unlabelled).probabilities()[0]
    assert [g.probability for g in answer] == pytest.approx(sorted(expected)[::-1], abs=1e-6)
    assert [photo.name for photo in answer.photos] == [str(path) for path in paths]
    turned = classifier.identify([paths[2], paths[0].read_bytes(), paths[1]], top=3)
    assert [g.probability for g in turned] == pytest.approx(
        [g.probability for g in answer], abs=1e-6
    )
    assert turned.photos[1].name == "photo 2"
    assert turned.photos[1].sha256 == answer.photos[0].sha256


def test_unusable_photos_are_ignored_and_named(bundles, parts, tmp_path):
    classifier = ophis.load(bundles[0])
    good = parts[1].paths()[0]
    Image.new("RGB", (300, 200), "black").save(tmp_path / "dark.png")
    (tmp_path / "text.jpg").write_bytes(b"this is text")
    answer = classifier.identify([tmp_path / "dark.png", tmp_path / "text.jpg", good], top=3)
    alone = classifier.identify(good, top=3)
    assert answer.guesses == alone.guesses
    assert [photo.left_out for photo in answer.photos] == [LeftOut.FLAT, None]
    assert [failure.photo_id for failure in answer.failures] == [str(tmp_path / "text.jpg")]
    assert any("dark.png was not used: it shows next to nothing" in line for line in answer.lines)
    assert answer.lines[-1].startswith("Treat every bite as an emergency")
    nothing = classifier.identify([tmp_path / "dark.png"] * 2)
    assert nothing.state is State.UNUSABLE
    with pytest.raises(PhotoError, match="this is no photo"):
        classifier.identify([tmp_path / "text.jpg"])
    with pytest.raises(InputError, match="no photo was given"):
        classifier.identify([])


def test_warning_of_one_photo_is_kept_in_the_answer(bundles, parts, monkeypatch, tmp_path):
    """The guarantee holds for each photo, so it holds for the answer."""
    from ophis.decision import guarantees, verdict

    classifier = ophis.load(bundles[0])
    rule = classifier.bundle.rule
    assert rule
    # Only the first species is dangerous here. The first photo may show it or the second one.
    for module in (guarantees, verdict):
        monkeypatch.setattr(module, "dangerous", lambda species: np.array([True, False, False]))
    narrow = replace(rule.image.names, thresholds=np.full(3, 0.6), observations=np.full(3, 99))
    sharp = Guarantees(names=narrow, danger=replace(narrow, coverage=0.99))
    classifier.bundle = replace(
        classifier.bundle, rule=replace(rule, image=sharp, country=narrow, limit=np.inf)
    )
    logits = [[3.0, 2.9, 0.0], [0.0, 5.0, 0.0]]
    original = classifier.networks[0].scores_and_evidence

    def made(photos, names, seen, **more):
        scores, maps = original(photos, names, seen, **more)
        return replace(scores, logits=np.array(logits)), maps

    monkeypatch.setattr(classifier.networks[0], "scores_and_evidence", made)
    paths = parts[1].paths()[:2]
    answer = classifier.identify(paths)
    assert answer.possible == (classifier.bundle.species[1],)
    assert answer.verdict is Verdict.MAY_BE_VENOMOUS  # because of the first photo
    logits[0] = [0.0, 2.9, 0.0]
    assert classifier.identify(paths).verdict is Verdict.NOT_KNOWN_DANGEROUS


def test_overrides_are_kept_if_image_alone_wins():
    species, truth = SpeciesList(("Made red", "Made green")), np.arange(200) % 2
    names = tuple(map(str, truth.cumsum() + np.arange(200)))
    scores = Scores(
        logits=np.where(np.eye(2)[truth] > 0, 6.0, 0.0),
        species=species,
        photo_ids=names,
        truth=truth,
        countries=("india",) * 200,
        observations=names,
    )
    counts = CountryPrior(species, ("india", "kenya"), np.array([[5, 5], [5, 5]]))
    overrides = (Override("india", "Made red", 0.0),)  # although half of the photos show it
    found = _prior(BayesPrior(counts, overrides=overrides), scores)
    assert isinstance(found, BayesPrior)
    assert found.overrides == overrides
    records = Records.of(
        species, latitude=np.array([10.0]), longitude=np.array([77.0]), column=np.array([1])
    )
    with_places = _prior(LocationPrior(BayesPrior(counts, overrides=overrides), records), scores)
    assert isinstance(with_places, LocationPrior)
    assert with_places.records is records
    assert with_places.base.settings == found.settings
