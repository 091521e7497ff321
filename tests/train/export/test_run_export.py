import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from PIL import ExifTags, Image

import ophis
from ophis import InputError, PhotoError, Scores, read_manifest, read_scores
from ophis.challenges.submission_check import check_submission
from ophis.cli import main
from ophis.datasets.training_photos import (
    TRAINING_PHOTOS,
    content_digests,
    write_training_photos,
)
from ophis.decision.calibration import fit_temperature
from ophis.decision.decision import State
from ophis.decision.out_of_distribution import ood_scores
from ophis.decision.vector_scaling import fit_vector
from ophis.decision.verdict import Verdict
from ophis.evaluation.results import read_results
from ophis.geography.location import Source
from ophis.inference.bundles.bundle import read_bundle
from ophis.inference.bundles.index import NOT_FOR_ANSWERS, WEIGHTS
from ophis.priors.effect import PriorUse
from ophis.scores.scores import softmax
from ophis.scores.validation import validation_halves
from ophis.train import fit
from ophis.train.export import Retest, export, export_imagenet17
from ophis.train.export.imagenet17 import FIRST_CLASS, KINDS, imagenet17_model
from ophis.train.export.onnx_export import check_parity, write_onnx
from ophis.train.networks.model import create_model
from ophis.train.networks.standardisation import fold_weight_standardisation
from ophis.train.networks.weights import pretrained_lite0

EXPECTED_FILES = [
    "README.md",
    "bundle.json",
    "config.json",
    "decision.json",
    "evaluation.json",
    "images.json",
    "model.onnx",
    "model.safetensors",
    "prior.csv",
    "prior.toml",
    "selftest.json",
    "species.csv",
    "training_photos.npz",
]


@pytest.fixture(scope="module")
def run(coloured, small, tmp_path_factory):
    """Return a run of a small network with weight standardisation, after a few steps."""
    return fit(
        small(steps=6, head="random"),
        train=coloured.take(np.arange(24)),
        validation=coloured.take(np.arange(24, 36)),
        out=tmp_path_factory.mktemp("run") / "run",
    )


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory):
    return export(run, tmp_path_factory.mktemp("bundle") / "bundle")


def test_bundle_contains_files_and_card(bundle):
    assert sorted(path.name for path in bundle.iterdir()) == EXPECTED_FILES
    card = (bundle / "README.md").read_text()
    assert "On 12 validation photos outside the training data" in card
    assert "A snake of another species than its 3 gets one of their names or none" in card
    assert "too few validation photos: it rejects none" in card


def test_onnx_runtime_scores_equal_torch(bundle, run, coloured):
    """Same species, probabilities within 1e-4, on every validation photo."""
    torchs = read_scores(run / "scores.npz")
    onnxs = ophis.load(bundle).score(coloured.take(np.arange(24, 36)))
    assert onnxs.photo_ids == torchs.photo_ids
    np.testing.assert_array_equal(onnxs.logits.argmax(1), torchs.logits.argmax(1))
    assert np.abs(onnxs.probabilities() - torchs.probabilities()).max() < 1e-4
    assert onnxs.ood_score is not None
    assert torchs.ood_score is not None
    np.testing.assert_allclose(onnxs.ood_score, torchs.ood_score, rtol=1e-3)


def test_export_at_other_pixels_fits_everything_again(run, coloured, tmp_path):
    train, validation = coloured.take(np.arange(24)), coloured.take(np.arange(24, 36))
    out = export(run, tmp_path / "large", retest=Retest(48, train, validation))
    classifier = ophis.load(out)
    assert classifier.bundle.members[0].preprocessing.pixels == 48
    scores = classifier.score(validation)
    evaluation = ophis.evaluate(scores)
    card = (out / "README.md").read_text()
    figures = read_results(out / "evaluation.json").metrics[0]
    assert figures["top1"]["value"] == evaluation.top1
    assert f"{100 * evaluation.top1:.1f} % ({100 * figures['top1']['low']:.1f} to" in card
    assert "test_pixels = 48" in card
    # The OOD score is of photos of 48 pixels: that of training photos is 1 in the mean.
    ood_score = classifier.score(train).ood_score
    assert ood_score is not None
    assert ood_score.mean() == pytest.approx(1, rel=0.02)
    # Manifests are compared by their photos: written elsewhere, their paths differ.
    moved = read_manifest(train.write(coloured.folder.parent / "train.csv"))
    assert moved.sha256() != train.sha256()
    fewer = coloured.take(np.arange(24, 35))
    with pytest.raises(InputError, match="validation: not the photos of"):
        export(run, tmp_path / "other", retest=Retest(48, moved, fewer))
    with pytest.raises(InputError, match="train: not the photos of"):
        export(run, tmp_path / "other", retest=Retest(48, coloured.take(np.arange(23)), validation))
    with pytest.raises(InputError, match="is in training and validation"):
        export(run, tmp_path / "other", retest=Retest(48, train, train))
    for given in (
        ["--pixels", "48"],
        ["--pixels", "0"],
        ["--train", "a.csv", "--validation", "b.csv"],
    ):
        with pytest.raises(SystemExit) as done:
            main(["export", str(run), "--out", str(tmp_path / "none"), *given])
        assert done.value.code == 2


def test_unsupported_pixels_are_refused(run, coloured, tmp_path, monkeypatch):
    train, validation = coloured.take(np.arange(24)), coloured.take(np.arange(24, 36))

    def error_message(pixels: int) -> str:
        with pytest.raises(InputError) as error:
            export(run, tmp_path / "out", retest=Retest(pixels, train, validation))
        assert not list(tmp_path.iterdir())
        return str(error.value)

    assert error_message(8193) == "test_pixels = 8193 should be at most 8192"
    assert "test_pixels = 0 should be above 0" in error_message(0)
    fixed = timm.create_model("vit_tiny_patch16_224", num_classes=3, depth=1)
    monkeypatch.setattr("ophis.train.export.run_export.model_of", lambda _: fixed)
    assert "does not accept this size: Input height (40) doesn't match" in error_message(40)


def test_identify_equals_score_and_the_prior(bundle, coloured):
    classifier = ophis.load(bundle)
    row = 1  # its country is known
    photo, scores = coloured.paths()[row], classifier.score(coloured.take(np.array([row])))
    alone = classifier.identify(photo, top=3)
    order = np.argsort(-scores.probabilities()[0])
    assert [guess.species for guess in alone] == [scores.species[int(n)] for n in order]
    assert alone.prior is PriorUse.NO_COUNTRY
    assert any("No country is known" in line for line in alone.lines)
    with_country = classifier.identify(photo.read_bytes(), country="IN", top=1)
    assert with_country.country == "india"
    prior = classifier.bundle.prior
    assert prior
    assert scores.countries == ("india",)
    expected = prior.adjust(scores).probabilities()[0]
    assert with_country[0].probability == pytest.approx(expected.max(), abs=1e-9)
    assert with_country.prior == PriorUse.WEIGHED
    expected = prior.adjust_with_effect(scores)[1][0]
    fields = with_country.as_dict()
    assert (fields["contradicts"], fields["overridden"]) == (
        expected.contradicts,
        expected.overridden,
    )
    assert with_country.photos[0].sha256 == alone.photos[0].sha256
    assert len(alone.bundle) == 64


def test_position_in_the_photo_gives_the_country_and_is_not_output(bundle, tmp_path):
    classifier = ophis.load(bundle)
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {1: "N", 2: (27.0, 0.0, 0.0), 3: "E", 4: (84.0, 52.0, 11.0)}  # Birgunj and Raxaul
    )
    colours = np.random.default_rng(0).integers(0, 255, (64, 72, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "border.jpg", exif=exif.tobytes())
    answer = classifier.identify(tmp_path / "border.jpg", gps=True, top=3)
    assert answer.source is Source.BORDER
    assert sum(answer.countries.values()) == pytest.approx(1)
    assert set(answer.countries) == {"np", "india"}  # as the training table spells them
    assert any("near a border: Nepal" in line and "India" in line for line in answer.lines)
    text = json.dumps(answer.as_dict())
    assert not re.search(r"84\.8|27\.0|52\.0", text)
    given = classifier.identify(tmp_path / "border.jpg", country=answer.countries, top=3)
    assert given.guesses == answer.guesses
    assert given.source is Source.GIVEN
    one = classifier.identify(tmp_path / "border.jpg", country="Kenya", gps=True)
    assert one.countries == {"kenya": 1.0}
    assert any(line == "The country, as given: Kenya." for line in one.lines)
    nobody = classifier.identify(tmp_path / "border.jpg")
    assert (nobody.source, nobody.countries, nobody.country) == (None, {}, "UNKNOWN")


def exported(run, folder, *, offset=0.0):
    """Return a bundle of a run with synthetic scores of 300 validation photos."""
    copy = shutil.copytree(run, folder / "run")
    scores = read_scores(copy / "scores.npz")
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    names = tuple(map(str, range(300)))
    made = Scores(
        4 * np.eye(3)[truth] * (rng.random((300, 1)) < 0.7)
        + rng.normal(size=(300, 3)) + offset,
        scores.species, names, truth, ("kenya",) * 300, names,
        ood_score=ood_scores(scores).mean() * rng.gamma(20, 1 / 20, 300),
        sha256=rng.integers(0, 256, (300, 32), np.uint8),
    )  # fmt: skip
    made.write(copy / "scores.npz")
    return export(copy, folder / "bundle"), made


@pytest.fixture(scope="module")
def evaluated(run, tmp_path_factory):
    return exported(run, tmp_path_factory.mktemp("evaluated"))


def test_bundle_with_enough_validation_photos_is_calibrated(evaluated, coloured):
    bundle, made = evaluated
    classifier = ophis.load(bundle)
    calibration = classifier.bundle.calibration
    assert calibration
    assert not calibration.by_species
    fitting, _ = validation_halves(made)
    assert calibration.temperature == pytest.approx(fit_temperature(fitting).temperature)
    card = (bundle / "README.md").read_text()
    assert f"(temperature {calibration.temperature:.2f})" in card
    photo = coloured.take(np.array([1]))
    logits = classifier.score(photo).logits[0]
    expected = softmax(logits / calibration.temperature).max()
    answer = classifier.identify(photo.paths()[0], top=1)
    assert answer[0].probability == pytest.approx(expected, abs=1e-6)
    assert abs(expected - softmax(logits).max()) > 1e-4


def test_bias_towards_a_species_is_calibrated(run, coloured, tmp_path):
    bundle, made = exported(run, tmp_path, offset=np.array([2.0, 0, -2]))
    classifier = ophis.load(bundle)
    calibration = classifier.bundle.calibration
    assert calibration
    fitting, rule_fitting = validation_halves(made)
    np.testing.assert_array_equal(calibration.offset, fit_vector(fitting).offset)
    calibrated = calibration.apply(rule_fitting)
    assert ophis.evaluate(calibrated).top1 > ophis.evaluate(rule_fitting).top1
    card = (bundle / "README.md").read_text()
    assert f"mean temperature {calibration.temperature:.2f};\n  they may change which spec" in card
    assert "without the country and before its calibration," in card
    raw = classifier.score(coloured)
    for row, path in enumerate(coloured.paths()[:3]):
        order = np.argsort(-calibration.apply(raw).logits[row])
        answer = classifier.identify(path, top=3)
        assert [guess.species for guess in answer] == [raw.species[n] for n in order]


def test_answer_follows_the_decision_rule(evaluated, coloured):
    bundle, made = evaluated
    classifier = ophis.load(bundle)
    rule, calibration = classifier.bundle.rule, classifier.bundle.calibration
    assert rule
    assert calibration
    assert (rule.image.names.observations == len(validation_halves(made)[1])).all()
    raw = classifier.score(coloured)
    decisions = rule.decide(calibration.apply(raw), is_ood=rule.is_ood(raw))
    for path, decision in zip(coloured.paths()[:6], decisions, strict=False):
        answer = classifier.identify(path)
        assert answer.state is decision.state
        assert answer.possible == tuple(raw.species[column] for column in decision.species)
        assert answer.verdict is Verdict.MAY_BE_VENOMOUS
        assert answer.lines[0] == "May be venomous."
        assert answer.lines[-1].startswith("Treat every bite as an emergency")


def test_out_of_distribution_photo_gets_no_species(evaluated, coloured, tmp_path):
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[::2], stripes[:, ::3] = 255, (200, 200, 0)
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    answer = ophis.load(evaluated[0]).identify(tmp_path / "stripes.png", country="KE")
    assert answer.state is State.NO_SNAKE
    assert (answer.name, answer.possible, answer.guesses) == (None, (), ())
    assert answer.verdict is Verdict.MAY_BE_VENOMOUS
    assert "no snake seen" in answer.lines[1]
    assert len(answer.lines) == 3  # no line about the country: there are no probabilities to weigh


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (Image.new("RGB", (300, 200), "black"), "next to nothing"),
        (Image.new("RGB", (300, 200), (90, 120, 40)), "next to nothing"),
        (Image.effect_noise((300, 200), 4).convert("RGB"), "next to nothing"),
        (Image.effect_noise((63, 400), 90).convert("RGB"), "too few pixels"),
    ],
)
def test_flat_blank_and_tiny_photos_get_no_species(evaluated, tmp_path, picture, words):
    picture.save(tmp_path / "photo.png")
    answer = ophis.load(evaluated[0]).identify(tmp_path / "photo.png")
    assert answer.state is State.UNUSABLE
    assert (answer.name, answer.possible, answer.guesses) == (None, (), ())
    assert answer.verdict is Verdict.MAY_BE_VENOMOUS
    assert words in answer.lines[1]
    assert answer.lines[-1].startswith("Treat every bite as an emergency")


def test_identify_command_loads_no_torch(bundle, coloured):
    code = (
        "import sys\nfrom ophis.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code, "identify", bundle, coloured.paths()[0], "--json"]
    done = subprocess.run(
        [*map(str, command), "--country", "Kenya", "--top", "2"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert len(answer["guesses"]) == 2
    assert answer["country"] == "kenya"
    assert answer["guesses"][0]["danger"] == "treat as venomous"


def test_hidden_test_of_2020_end_to_end(bundle, coloured, tmp_path, monkeypatch, capsys):
    lines = ["hashed_id,country,continent,filename"]
    lines += [f"id{n},{country},x,{n}.png" for n, country in enumerate(["Kenya", "India", ""])]
    (tmp_path / "metadata.csv").write_text("\n".join([*lines, "id3,Kenya,x,none.png"]) + "\n")
    monkeypatch.setenv("AICROWD_TEST_IMAGES_PATH", str(coloured.folder))
    monkeypatch.setenv("AICROWD_TEST_METADATA_PATH", str(tmp_path / "metadata.csv"))
    monkeypatch.setenv("AICROWD_PREDICTIONS_OUTPUT_PATH", str(tmp_path / "predictions.csv"))
    with pytest.raises(SystemExit) as end:
        main(["aicrowd", str(bundle)])
    printed = capsys.readouterr()
    assert end.value.code == 1
    assert "none.png" in printed.err
    assert printed.out.startswith("4 photos, 1 of them by their country only: ")
    checked = check_submission(
        tmp_path / "predictions.csv",
        species=coloured.species_list(),
        against=tmp_path / "metadata.csv",
    )
    assert (checked.problems, checked.rows) == ((), 4)
    classifier = ophis.load(bundle)
    assert classifier.bundle.prior
    second = coloured.take(np.array([1]))  # of India
    expected = classifier.bundle.prior.adjust(classifier.score(second)).probabilities()[0]
    with (tmp_path / "predictions.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[1]
    for name, probability in zip(coloured.species_list(), expected, strict=True):
        assert float(row[name]) == pytest.approx(probability, abs=1e-5)


def test_merged_country_names_are_printed(run, coloured, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    with (copy / "prior.csv").open("a") as file:
        file.write("Made red,ind,1\n")
    with pytest.raises(SystemExit) as end:
        main(["export", str(copy), "--out", str(tmp_path / "bundle")])
    printed = capsys.readouterr()
    assert not end.value.code, printed.err
    message = "one country, counted together: ind, india"
    assert f"ophis: {copy / 'prior.csv'}: {message}\n" in printed.err
    (tmp_path / "metadata.csv").write_text("hashed_id,country,filename\na,India,1.png\n")
    monkeypatch.setenv("AICROWD_TEST_IMAGES_PATH", str(coloured.folder))
    monkeypatch.setenv("AICROWD_TEST_METADATA_PATH", str(tmp_path / "metadata.csv"))
    monkeypatch.setenv("AICROWD_PREDICTIONS_OUTPUT_PATH", str(tmp_path / "predictions.csv"))
    with pytest.raises(SystemExit) as end:
        main(["aicrowd", str(tmp_path / "bundle")])
    printed = capsys.readouterr()
    assert not end.value.code, printed.err
    assert f"ophis: {tmp_path / 'bundle'}: {message}\n" in printed.err


def test_bad_photos_are_failures_and_others_keep_their_rows(bundle, coloured, tmp_path):
    good = coloured.paths()
    names = []
    for number in range(40):
        path = tmp_path / f"{number:02}.png"
        bad = number in (0, 13, 14, 39)
        path.write_bytes(b"this is text" if bad else good[number % 36].read_bytes())
        names.append(f"{path.name},{coloured.table['species'][number % 36]}")
    (tmp_path / "all.csv").write_text("photo,species\n" + "\n".join(names) + "\n")
    manifest = read_manifest(tmp_path / "all.csv")
    classifier = ophis.load(bundle)
    scores = classifier.score(manifest)
    assert [failure.photo_id for failure in scores.failures] == [
        manifest.table["photo_id"][n] for n in (0, 13, 14, 39)
    ]
    whole = classifier.score(coloured)
    for row, photo_id in enumerate(scores.photo_ids):
        number = int(photo_id[:2]) % 36
        np.testing.assert_allclose(scores.logits[row], whole.logits[number], atol=1e-5)
    with pytest.raises(PhotoError, match=r"00\.png"):
        classifier.identify(tmp_path / "00.png")


def test_changed_or_missing_file_is_refused_by_name(bundle, tmp_path):
    import shutil

    for name in set(EXPECTED_FILES) - {WEIGHTS}:  # `verify_weights` checks those
        folder = tmp_path / name
        shutil.copytree(bundle, folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-3])
        with pytest.raises(InputError, match=name):
            read_bundle(folder)
        (folder / name).unlink()
        if name in NOT_FOR_ANSWERS:
            assert read_bundle(folder).version == read_bundle(bundle).version
            continue
        with pytest.raises(InputError, match=name):
            read_bundle(folder)
    with pytest.raises(InputError, match="is not a bundle"):
        ophis.load(tmp_path / "nothing")


def test_export_refuses_photos_of_the_training(run, coloured, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "run")
    scores = read_scores(copy / "scores.npz")
    write_training_photos(copy, content_digests(coloured.take(np.arange(26))))
    with pytest.raises(InputError, match=r"2 of 12 photos are training photos too, .* '24.png'"):
        export(copy, tmp_path / "out")
    (copy / TRAINING_PHOTOS).unlink()
    with pytest.raises(InputError, match=r"training_photos\.npz is missing, so the validation"):
        export(copy, tmp_path / "out")
    write_training_photos(copy, content_digests(coloured.take(np.arange(24))))
    replace(scores, sha256=None).write(copy / "scores.npz")
    with pytest.raises(InputError, match="the scores hold no sha256 of the photos"):
        export(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_failed_export_leaves_the_old_bundle(bundle, tmp_path, monkeypatch):
    before = read_bundle(bundle).version
    with pytest.raises(InputError, match="is not a run folder"):
        export(tmp_path, bundle)
    assert read_bundle(bundle).version == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match="something that is no bundle"):
        export_imagenet17(tmp_path / "mine")
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == ["thesis.txt"]


def test_export_that_differs_from_torch_is_refused(tmp_path):
    torch.manual_seed(0)
    model = create_model("resnetv2_50x1_bit", species=3, weights="none", head="random")
    model = fold_weight_standardisation(model)
    write_onnx(model, tmp_path / "m.onnx", side=32)
    assert check_parity(model, tmp_path / "m.onnx", side=32) < 1e-4
    with torch.no_grad():
        model.get_classifier().bias[0] += 0.5
    with pytest.raises(InputError, match="differs from torch"):
        check_parity(model, tmp_path / "m.onnx", side=32)


def test_imagenet17_head_is_the_snake_part_of_the_packages_head(tmp_path):
    assert (FIRST_CLASS, len(KINDS)) == (52, 17)
    pixels = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        whole = pretrained_lite0().eval()(pixels)
        cut = imagenet17_model().eval()(pixels)
    torch.testing.assert_close(cut, whole[:, 52:69])
    classifier = ophis.load(export_imagenet17(tmp_path / "imagenet17"))
    expected = softmax(cut.numpy())
    assert (
        np.abs(softmax(classifier.networks[0].outputs(pixels.numpy())[0]) - expected).max() < 1e-4
    )
    assert "about 4,000 species" in (tmp_path / "imagenet17" / "README.md").read_text()
