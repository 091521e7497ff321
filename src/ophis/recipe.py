"""Training recipe: all settings that change the weights, in one flat TOML file."""

from __future__ import annotations

import difflib
import hashlib
import math
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

from ophis.errors import InputError
from ophis.files.content import content_of, read_toml
from ophis.images.preprocessing import MAX_SIDE, Preprocessing

HEADS = ("zero", "random")
OPTIMISERS = ("sgd", "adamw")
PRECISIONS = ("float32", "bfloat16", "auto")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a training run. Names include the units.

    A file must give every key and no other: recipes can then be compared line by line, and a new
    default cannot change a published result.
    """

    backbone: str  # a timm model name
    weights: str  # "none", "hub", "lite0" or a file name: .npz, .safetensors, .pt, .pth
    head: str  # "zero" (as in the released code of BiT and of the paper) or "random"
    frozen_stages: int  # first stages, stem included, that keep their weights; 0 trains all
    resize_pixels: int  # photos are resized to a square of this side ...
    crop_pixels: int  # ... and a random square of this side is cropped
    test_pixels: int  # validation and inference: resized to this side, no crop
    mean: tuple[float, float, float]  # per channel, of values in [0, 1]
    std: tuple[float, float, float]
    least_area: float  # of a crop, as a fraction of the resized photo, in (0, 1]; 1 is off
    flip_probability: float  # horizontal
    rotation_degrees: float  # uniformly in [-degrees, +degrees]; 0 is off
    colour_jitter: float  # brightness, contrast, saturation factors in [1 - j, 1 + j]; 0 is off
    mixup_alpha: float  # Beta(alpha, alpha); 0 is off
    label_smoothing: float  # in [0, 1)
    dropout: float  # before the head
    steps: int  # optimiser steps
    batch_photos: int  # photos of one optimiser step ...
    micro_batch_photos: int  # ... and of one forward pass; gradients are accumulated
    optimiser: str  # "sgd" or "adamw" (Loshchilov & Hutter 2019)
    learning_rate: float  # at the end of the warm-up
    warmup_steps: int
    decay_steps: tuple[int, ...]  # at each of these steps the rate is divided ...
    decay_factor: float  # ... by this
    momentum: float  # of AdamW: its first beta; the second is 0.999
    weight_decay: float
    evaluate_every_steps: int  # and once more at the end
    precision: str  # "float32", "bfloat16" (autocast), "auto": bfloat16 where it is faster
    seed: int

    def __post_init__(self) -> None:
        for passed, message in _checks(self):
            if not passed:
                raise InputError(message)

    @property
    def micro_batches(self) -> int:
        """Micro-batches of one optimiser step."""
        return self.batch_photos // self.micro_batch_photos

    @property
    def sides(self) -> tuple[int, int]:
        """Pixels of the photos in training, and in validation and inference."""
        return self.crop_pixels, self.test_pixels

    @property
    def preprocessing(self) -> Preprocessing:
        """Preprocessing of validation and inference."""
        return Preprocessing(pixels=self.test_pixels, mean=self.mean, std=self.std)

    def learning_rate_at(self, step: int) -> float:
        """Return the rate of an optimiser step, from 0; see `learning_rate`."""
        return learning_rate(
            step,
            base=self.learning_rate,
            warmup_steps=self.warmup_steps,
            decay_steps=self.decay_steps,
            decay_factor=self.decay_factor,
        )

    def to_toml(self) -> str:
        """Return the recipe as TOML; `read_recipe` reads it back unchanged."""
        return "".join(f"{f.name} = {_toml(getattr(self, f.name))}\n" for f in fields(self))

    def sha256(self) -> str:
        """Return a digest of the values, independent of comments and order in the file."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()


def learning_rate(
    step: int, *, base: float, warmup_steps: int, decay_steps: tuple[int, ...], decay_factor: float
) -> float:
    """Return the learning rate of a step: linear warm-up, then a staircase (paper, section 4).

    The rate of step i is ``base * i / warmup_steps`` for i < warmup_steps, and afterwards ``base``
    divided by ``decay_factor`` once for each decay step d with i >= d. With the paper's numbers,
    step 2,999 has 0.03 and step 3,000 has 0.003. (The released code of BiT compares with ``<=``
    and divides one step later, at 3,001; this follows the paper's text.)
    """
    if step < warmup_steps:
        return base * step / warmup_steps
    passed = sum(step >= decay_step for decay_step in decay_steps)
    return base / decay_factor**passed


def find_recipe(name: str | Path) -> Path:
    """Return the file of a recipe, given by its path or by the name of a shipped recipe."""
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        return path
    for folder in _shipped_folders():
        if (shipped := folder / f"{name}.toml").is_file():
            return shipped
    known = sorted({file.stem for folder in _shipped_folders() for file in folder.glob("*.toml")})
    raise InputError(f"no recipe has the name {str(name)!r}; give a .toml file or one of {known}")


def _shipped_folders() -> tuple[Path, Path]:
    here = Path(__file__).resolve().parent
    return here / "recipes", here.parents[1] / "recipes"  # a wheel; a checkout


def read_recipe(name: str | Path) -> Recipe:
    """Read a recipe from a TOML file, or a shipped one by name.

    Raises:
        InputError: naming the file and the key that is unknown, missing or out of range.
    """
    path = find_recipe(name)
    values = read_toml(path, "recipe file")
    with content_of(path, "not a recipe of ophis"):
        return recipe_from(values)


def recipe_from(values: dict[str, Any]) -> Recipe:
    """Return the recipe of a mapping.

    Raises:
        InputError: naming the key that is unknown, missing or out of range.
    """
    types = get_type_hints(Recipe)
    for key in values:
        if key not in types:
            close = difflib.get_close_matches(key, types, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(types)}"
            raise InputError(f"unknown key {key!r}; {hint}")
    if missing := [key for key in types if key not in values]:
        raise InputError(f"missing key {missing[0]!r}; a recipe gives every key")
    return Recipe(**{key: _typed(key, values[key], types[key]) for key in types})


def _typed(key: str, value: object, wanted: Any) -> Any:  # noqa: ANN401 - one of four types
    """Return the value in the type of the key; an integer is accepted for a float."""
    if isinstance(value, int) and abs(value) > _MAX_WHOLE:
        raise InputError(f"{key} should be at most {_MAX_WHOLE}, up to which numbers are exact")
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if get_args(wanted) and isinstance(value, list):
        each = get_args(wanted)[0]
        value = tuple(_typed(key, item, each) for item in value)
        length = None if Ellipsis in get_args(wanted) else len(get_args(wanted))
        if length not in (None, len(value)):
            raise InputError(f"{key} needs {length} numbers, not {len(value)}")
        return value
    if get_args(wanted) or not isinstance(value, wanted) or isinstance(value, bool):
        name = "list" if get_args(wanted) else wanted.__name__
        raise InputError(f"{key} = {value!r} should be of type {name}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{key} = {value!r} should be a finite number")
    return value


_POSITIVE = (
    "resize_pixels", "crop_pixels", "test_pixels", "steps", "batch_photos", "micro_batch_photos",
    "evaluate_every_steps", "learning_rate", "decay_factor", "least_area",
)  # fmt: skip
_NOT_NEGATIVE = (
    "rotation_degrees", "mixup_alpha", "warmup_steps", "momentum", "seed", "weight_decay",
    "frozen_stages",
)  # fmt: skip
_FRACTIONS = (
    "least_area", "flip_probability", "colour_jitter", "label_smoothing", "dropout", "momentum",
)  # fmt: skip
_SIDES = ("resize_pixels", "crop_pixels", "test_pixels")
_MAX_WHOLE = 2**53
_BELOW_ONE = ("momentum", "label_smoothing", "dropout")
_CHOICES = {"head": HEADS, "optimiser": OPTIMISERS, "precision": PRECISIONS}


def _checks(recipe: Recipe) -> list[tuple[bool, str]]:
    """Return each check of single values with the message for its failure."""
    values = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    checks = [(values[k] > 0, f"{k} = {values[k]} should be above 0") for k in _POSITIVE]
    checks += [(values[k] >= 0, f"{k} = {values[k]} should not be below 0") for k in _NOT_NEGATIVE]
    checks += [
        (0 <= values[k] <= 1, f"{k} = {values[k]} should be within 0 and 1") for k in _FRACTIONS
    ]
    checks += [(values[k] < 1, f"{k} should be below 1") for k in _BELOW_ONE]
    checks += [
        (values[k] <= MAX_SIDE, f"{k} = {values[k]} should be at most {MAX_SIDE}") for k in _SIDES
    ]
    checks += [
        (values[k] in names, f"{k} = {values[k]!r} should be one of {names}")
        for k, names in _CHOICES.items()
    ]
    return checks + _joint_checks(recipe)


def _joint_checks(recipe: Recipe) -> list[tuple[bool, str]]:
    """Return each check of lists and of several values with the message for its failure."""
    return [
        (recipe.crop_pixels <= recipe.resize_pixels, "crop_pixels should not exceed resize_pixels"),
        (
            recipe.batch_photos % recipe.micro_batch_photos == 0,
            f"batch_photos = {recipe.batch_photos} is no multiple of micro_batch_photos"
            f" = {recipe.micro_batch_photos}",
        ),
        (all(d > 0 for d in recipe.std), "std should be above 0 in each channel"),
        (all(a < b for a, b in pairwise(recipe.decay_steps)), "decay_steps should increase"),
        (
            recipe.frozen_stages == 0 or recipe.weights != "none",
            f'weights = "none" with frozen_stages = {recipe.frozen_stages} would keep random'
            " weights; pretrained ones can be frozen",
        ),
    ]


def _toml(value: str | float | tuple[float, ...]) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
