from dataclasses import fields, replace

import pytest

from ophis import InputError, Recipe, read_recipe
from ophis.recipe import find_recipe, learning_rate, recipe_from
from tests.support.paths import ROOT

RECIPES = ROOT / "recipes"
PAPER = {
    "base": 0.03,
    "warmup_steps": 500,
    "decay_steps": (3000, 6000, 9000),
    "decay_factor": 10.0,
}


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.0),
        (1, 0.03 / 500),
        (499, 0.03 * 499 / 500),
        (500, 0.03),
        (2999, 0.03),
        (3000, 0.003),
        (3001, 0.003),
        (6000, 0.0003),
        (9999, 0.00003),
        (10000, 0.00003),
    ],
)
def test_learning_rate_of_the_paper(step, rate):
    assert learning_rate(step, **PAPER) == pytest.approx(rate, rel=1e-12)
    assert read_recipe("paper_in21k").learning_rate_at(step) == pytest.approx(rate, rel=1e-12)


def test_paper_recipes_differ_in_one_key():
    a, b = (read_recipe(RECIPES / f"paper_{name}.toml") for name in ("in1k", "in21k"))
    different = [f.name for f in fields(Recipe) if getattr(a, f.name) != getattr(b, f.name)]
    assert different == ["weights"]
    assert (a.weights, b.weights) == ("BiT-S-R50x1.npz", "BiT-M-R50x1.npz")


def test_pretraining_recipes_differ_in_one_key():
    folder = RECIPES.parent / "benchmarks" / "pretraining"
    names = ("none", "few", "spread", "all")
    read = {name: read_recipe(folder / f"snakes_{name}.toml") for name in names}
    assert [recipe.weights for recipe in read.values()] == list(names)
    assert len({replace(recipe, weights="none") for recipe in read.values()}) == 1
    assert read_recipe(folder / "pretrain.toml").backbone == read["none"].backbone


def test_paper_recipe_has_the_values_of_the_paper():
    r = read_recipe("paper_in21k")
    assert (r.backbone, r.head) == ("resnetv2_50x1_bit", "zero")
    assert (r.resize_pixels, r.crop_pixels, r.test_pixels) == (512, 456, 456)
    assert (r.mean, r.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert (r.flip_probability, r.mixup_alpha) == (0.5, 0.1)
    assert (r.steps, r.batch_photos, r.micro_batch_photos) == (10_000, 512, 32)
    assert r.micro_batches == 16
    assert (r.optimiser, r.frozen_stages) == ("sgd", 0)
    assert (r.momentum, r.weight_decay, r.dropout) == (0.9, 0.0, 0.0)
    future_work = (r.label_smoothing, r.rotation_degrees, r.colour_jitter)
    assert future_work == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_read_and_write(path, tmp_path):
    recipe = read_recipe(path.stem)
    again = tmp_path / "again.toml"
    again.write_text(recipe.to_toml())
    assert read_recipe(again) == recipe
    assert read_recipe(again).sha256() == recipe.sha256()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rte": 0.1}, "unknown key 'learning_rte'; did you mean 'learning_rate'?"),
        ({"steps": None}, "missing key 'steps'"),
        ({"steps": "many"}, "steps = 'many' should be of type int"),
        ({"steps": True}, "steps = True should be of type int"),
        ({"steps": 0}, "steps = 0 should be above 0"),
        ({"steps": 1.5}, "steps = 1.5 should be of type int"),
        ({"mean": [0.5]}, "mean needs 3 numbers, not 1"),
        ({"mean": 0.5}, "mean = 0.5 should be of type list"),
        ({"std": [0.5, 0.0, 0.5]}, "std should be above 0"),
        ({"learning_rate": float("nan")}, "finite"),
        ({"optimiser": "adam"}, "optimiser = 'adam' should be one of ('sgd', 'adamw')"),
        ({"momentum": 1.0}, "momentum should be below 1"),
        ({"frozen_stages": -1}, "frozen_stages = -1 should not be below 0"),
        (
            {"frozen_stages": 2, "weights": "none"},
            "frozen_stages = 2 would keep random weights",
        ),
        ({"flip_probability": 1.5}, "flip_probability = 1.5 should be within 0 and 1"),
        (
            {"micro_batch_photos": 33},
            "batch_photos = 512 is no multiple of micro_batch_photos = 33",
        ),
        ({"crop_pixels": 513}, "crop_pixels should not exceed resize_pixels"),
        ({"decay_steps": [6000, 3000]}, "decay_steps should increase"),
        ({"head": "warm"}, "head = 'warm' should be one of"),
        ({"precision": "fp8"}, "precision = 'fp8' should be one of"),
    ],
)
def test_wrong_key_is_refused(change, words, tmp_path):
    import tomllib

    values = tomllib.loads((RECIPES / "paper_in21k.toml").read_text()) | change
    values = {key: value for key, value in values.items() if value is not None}
    with pytest.raises(InputError) as error:
        recipe_from(values)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_error_names_the_file(tmp_path):
    (tmp_path / "mine.toml").write_text("steps = \n")
    with pytest.raises(InputError, match=r"mine.toml: cannot be read as TOML"):
        read_recipe(tmp_path / "mine.toml")
    with pytest.raises(InputError, match=r"none.toml: there is no such recipe"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(InputError, match=r"'paper'; give a .toml file or one of .*paper_in1k"):
        find_recipe("paper")


def test_integers_are_accepted_for_floats():
    import tomllib

    values = tomllib.loads((RECIPES / "demo.toml").read_text()) | {"weight_decay": 0}
    assert isinstance(recipe_from(values).weight_decay, float)
