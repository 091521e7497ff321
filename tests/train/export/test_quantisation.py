"""A small real network in 8 bits against the same network in float32."""

import shutil

import numpy as np
import onnx
import polars as pl
import pytest

import ophis
from ophis import InputError
from ophis.cli import main
from ophis.datasets.training_photos import (
    TRAINING_PHOTOS,
    content_digests,
    read_training_photos,
)
from ophis.inference.bundles.index import MODEL
from ophis.inference.ensemble import combine, refit
from ophis.train import fit
from ophis.train.export import export, quantise


@pytest.fixture(scope="module")
def bundle(halves, small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    recipe = small(steps=12, head="random")
    run = fit(recipe, train=halves[0], validation=halves[1], out=folder / "run")
    return export(run, folder / "bundle")


@pytest.fixture(scope="module")
def eight(bundle, halves, tmp_path_factory):
    out = tmp_path_factory.mktemp("eight") / "bundle"
    return out, quantise(bundle, out, train=halves[0], validation=halves[1])


def test_8_bit_logits_are_close_and_the_file_is_smaller(bundle, eight, halves):
    plain, other = ophis.load(bundle), ophis.load(eight[0])
    expected, found = (c.score(halves[1]) for c in (plain, other))
    difference = np.abs(found.logits - expected.logits).max()
    assert 0 < difference < 0.1 * np.ptp(expected.logits)
    assert found.ood_score is not None
    assert expected.ood_score is not None
    np.testing.assert_allclose(found.ood_score, expected.ood_score, rtol=0.5)
    sizes = [(folder / MODEL).stat().st_size for folder in (bundle, eight[0])]
    assert sizes[1] < sizes[0] / 2
    assert other.bundle.version != plain.bundle.version


def test_guarantees_are_fitted_on_8_bit_scores(bundle, eight, halves):
    plain, other = ophis.load(bundle).bundle, ophis.load(eight[0]).bundle
    scores = ophis.load(eight[0]).score(halves[1])
    parts = refit(plain.prior, scores, confidence=0.95)
    for name, part in parts.items():
        assert (part is None) == (getattr(other, name) is None)
    rule = parts["rule"]
    assert rule is not None
    assert other.rule is not None
    np.testing.assert_allclose(rule.limit, other.rule.limit)
    answer = ophis.load(eight[0]).identify(halves[1].paths()[0], country="IN")
    assert answer.bundle == other.version


def test_results_are_those_of_both_bundles(bundle, eight, halves):
    before, after = eight[1]
    assert (before.name, after.name) == ("float32", "int8")
    for result, folder in ((before, bundle), (after, eight[0])):
        assert result.evaluation == ophis.evaluate(ophis.load(folder).score(halves[1]))
        card = (eight[0] / "README.md").read_text()
        assert f"| {result.name} | {result.evaluation.top1:.1%} |" in card


def test_convolutions_have_8_bits_and_7_bit_filters(eight):
    graph = onnx.load(eight[0] / MODEL).graph
    made = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    in_float = [n for n in convolutions if n.input[1] not in made]
    assert len(convolutions) > 10
    assert [constants[n.input[1]].shape[0] for n in in_float] == [3]  # the head's, a filter a kind
    for node in convolutions:
        if node not in in_float:
            filters = constants[made[node.input[1]].input[0]]
            assert filters.dtype == np.int8
            assert np.abs(filters.astype(int)).max() <= 64
            assert made[node.input[0]].op_type == "DequantizeLinear"


def test_too_large_loss_is_refused_and_nothing_written(bundle, halves, tmp_path):
    with pytest.raises(InputError, match=r"points of .* are lost on 12 photos, more than -200"):
        quantise(bundle, tmp_path / "out", train=halves[0], validation=halves[1], most_loss=-2.0)
    assert not list(tmp_path.iterdir())


def test_unsuitable_bundle_or_photos_are_refused(bundle, eight, halves, tmp_path):
    both = tmp_path / "both"
    combine([bundle], both, validation=halves[1], tta=["flip"])
    unlabelled = halves[1].table.with_columns(species=pl.lit(None, pl.String))
    bad = halves[0].table.with_columns(photo=pl.lit("gone.png"))
    for folder, out, changes, line in (
        (both, "out", {}, "is an ensemble"),
        (eight[0], "out", {}, "is quantised already"),
        (bundle, bundle, {}, "an input of this command"),
        (bundle, "out", {"validation": type(halves[1])(unlabelled, halves[1].folder)}, "label"),
        (bundle, "out", {"train": type(halves[0])(bad, halves[0].folder)}, "can be read"),
    ):
        given = {"train": halves[0], "validation": halves[1]} | changes
        with pytest.raises(InputError, match=line):
            quantise(folder, tmp_path / out, **given)
    assert not (tmp_path / "out").exists()


def test_photos_of_training_and_of_ranges_are_refused(bundle, eight, halves, tmp_path):
    for train in (halves[0], halves[1]):
        with pytest.raises(InputError, match="24 of 24 photos are training photos too"):
            quantise(bundle, tmp_path / "out", train=train, validation=halves[0])
    with pytest.raises(InputError, match="12 of 12 photos are training photos too"):
        quantise(bundle, tmp_path / "out", train=halves[1], validation=halves[1])
    assert not list(tmp_path.iterdir())
    found = read_training_photos(eight[0])
    assert found is not None
    assert found.tolist() == sorted(content_digests(halves[0]).tolist())


def test_unknown_training_photos_leave_no_guarantee(bundle, halves, tmp_path, caplog):
    home = shutil.copytree(bundle, tmp_path / "home")
    (home / TRAINING_PHOTOS).unlink()
    quantise(home, tmp_path / "out", train=halves[0], validation=halves[0], most_loss=1.0)
    assert f"{TRAINING_PHOTOS} is missing" in caplog.text
    made = ophis.load(tmp_path / "out").bundle
    assert (made.calibration, made.rule) == (None, None)
    assert "there are no guarantees" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.usefixtures("in_base")
def test_command_prints_both_results_and_the_folder(bundle, halves, tmp_path, capsys):
    for name, half in zip(("train", "validation"), halves, strict=True):
        half.write(tmp_path / f"{name}.csv")
    shutil.copytree(bundle, tmp_path / "plain")
    command = [
        "quantise", str(tmp_path / "plain"), "--out", str(tmp_path / "eight"),
        "--train", str(tmp_path / "train.csv"), "--validation", str(tmp_path / "validation.csv"),
    ]  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert not ended.value.code
    printed = capsys.readouterr().out
    assert "float32" in printed
    assert "int8" in printed
    assert printed.rstrip().endswith(str(tmp_path / "eight"))
