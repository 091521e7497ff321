"""A recipe: everything that changes the weights, flat, complete, read from TOML."""

from __future__ import annotations

import difflib
import hashlib
import math
import tomllib
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

from ophis.errors import InputError
from ophis.images.preprocessing import Preprocessing

HEADS = ("zero", "random")
OPTIMISERS = ("sgd", "adamw")
PRECISIONS = ("float32", "bfloat16", "auto")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is trained, on which pixels, and for how long. Units stand in the names.

    Every key must stand in the file and no other may: two recipes can then be compared line by
    line, and no default can change a published result behind its back.
    """

    backbone: str  # a timm model name
    weights: str  # "none", "hub", "lite0" or a file name: .npz, .safetensors, .pt, .pth
    head: str  # "zero" (as in the released code of BiT and of the paper) or "random"
    frozen_stages: int  # the stem and the stages after it that keep their weights; 0 trains all
    resize_pixels: int  # the photo is squeezed to this square ...
    crop_pixels: int  # ... and a random square of this side is cut from it
    test_pixels: int  # validation and use: squeezed to this square, no crop
    mean: tuple[float, float, float]  # per channel, of values in [0, 1]
    deviation: tuple[float, float, float]
    least_area: float  # of that square: each crop shows a share in [least_area, 1] of it; 1 is off
    flip_probability: float  # left and right
    rotation_degrees: float  # uniformly in [-degrees, +degrees]; 0 is off
    colour_jitter: float  # brightness, contrast, saturation factors in [1 - j, 1 + j]; 0 is off
    mixup_alpha: float  # Beta(alpha, alpha); 0 is off
    label_smoothing: float  # in [0, 1)
    dropout: float  # before the head
    steps: int  # optimiser steps
    batch_photos: int  # photos of one optimiser step ...
    micro_batch_photos: int  # ... accumulated from pieces of this many
    optimiser: str  # "sgd", or "adamw": decay apart from the gradient (Loshchilov & Hutter 2019)
    learning_rate: float  # at the end of the warm-up
    warmup_steps: int
    decay_steps: tuple[int, ...]  # at each of these the rate is divided ...
    decay_factor: float  # ... by this
    momentum: float  # of AdamW its first beta; the second is 0.999
    weight_decay: float
    evaluate_every_steps: int  # and once more at the end
    precision: str  # "float32", "bfloat16" (autocast), "auto": bfloat16 where the device gains
    seed: int

    def __post_init__(self) -> None:
        for rule, complaint in _rules(self):
            if not rule:
                raise InputError(complaint)

    @property
    def micro_batches(self) -> int:
        """Pieces whose gradients are accumulated in one optimiser step."""
        return self.batch_photos // self.micro_batch_photos

    @property
    def preprocessing(self) -> Preprocessing:
        """What validation and use do to a photo."""
        return Preprocessing(pixels=self.test_pixels, mean=self.mean, deviation=self.deviation)

    def learning_rate_at(self, step: int) -> float:
        """Rate of optimiser step ``step`` (the first is 0): see `learning_rate`."""
        return learning_rate(
            step,
            base=self.learning_rate,
            warmup_steps=self.warmup_steps,
            decay_steps=self.decay_steps,
            decay_factor=self.decay_factor,
        )

    def to_toml(self) -> str:
        """The recipe as TOML; `read_recipe` reads it back unchanged."""
        return "".join(f"{f.name} = {_toml(getattr(self, f.name))}\n" for f in fields(self))

    def sha256(self) -> str:
        """Digest of the values: comments and order of the file do not count."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()


def learning_rate(
    step: int, *, base: float, warmup_steps: int, decay_steps: tuple[int, ...], decay_factor: float
) -> float:
    """Linear warm-up, then a staircase, as the paper's text has it (section 4).

    The rate of step i is ``base * i / warmup_steps`` while i < warmup_steps, and afterwards
    ``base`` divided by ``decay_factor`` once for every decay step d with i >= d. So with the
    paper's numbers step 2,999 has 0.03 and step 3,000 has 0.003. (The released code of BiT
    compares with ``<=`` there and so divides one step later, at 3,001; we follow the text.)
    """
    if step < warmup_steps:
        return base * step / warmup_steps
    passed = sum(step >= decay_step for decay_step in decay_steps)
    return base / decay_factor**passed


def find_recipe(name: str | Path) -> Path:
    """The file of a recipe given by its path, or by the name of one that ships with ophis."""
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        return path
    for folder in _shipped_folders():
        if (shipped := folder / f"{name}.toml").is_file():
            return shipped
    known = sorted({file.stem for folder in _shipped_folders() for file in folder.glob("*.toml")})
    raise InputError(f"no recipe is called {str(name)!r}; give a .toml file or one of {known}")


def _shipped_folders() -> tuple[Path, Path]:
    here = Path(__file__).resolve().parent
    return here / "recipes", here.parents[1] / "recipes"  # a wheel; a checkout


def read_recipe(name: str | Path) -> Recipe:
    """Read a recipe from a TOML file, or a shipped one by name.

    Raises:
        InputError: naming the file and the key that is unknown, missing or out of its range.
    """
    path = find_recipe(name)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such recipe file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: cannot be read as TOML: {error}") from None
    try:
        return recipe_from(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def recipe_from(values: dict[str, Any]) -> Recipe:
    """A recipe from a mapping; unknown and missing keys are refused by name."""
    types = get_type_hints(Recipe)
    for key in values:
        if key not in types:
            close = difflib.get_close_matches(key, types, n=1)
            mend = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(types)}"
            raise InputError(f"unknown key {key!r}; {mend}")
    if missing := [key for key in types if key not in values]:
        raise InputError(f"missing key {missing[0]!r}; a recipe states every key")
    return Recipe(**{key: _typed(key, values[key], types[key]) for key in types})


def _typed(key: str, value: object, wanted: Any) -> Any:  # noqa: ANN401 - one of four types
    """The value as the type that the key wants; TOML's 1 may stand for 1.0."""
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


def _rules(r: Recipe) -> list[tuple[bool, str]]:
    """Each rule of the values with the line that is said when it is broken."""
    positive = ("resize_pixels", "crop_pixels", "test_pixels", "steps", "batch_photos")
    positive += ("micro_batch_photos", "evaluate_every_steps", "learning_rate", "decay_factor")
    not_negative = ("rotation_degrees", "mixup_alpha", "warmup_steps", "momentum", "seed")
    not_negative += ("weight_decay", "frozen_stages")
    positive += ("least_area",)
    shares = (
        "least_area",
        "flip_probability",
        "colour_jitter",
        "label_smoothing",
        "dropout",
        "momentum",
    )
    rules = [(getattr(r, k) > 0, f"{k} = {getattr(r, k)} should be above 0") for k in positive]
    rules += [
        (getattr(r, k) >= 0, f"{k} = {getattr(r, k)} should not be below 0") for k in not_negative
    ]
    rules += [
        (0 <= getattr(r, k) <= 1, f"{k} = {getattr(r, k)} should be within 0 and 1") for k in shares
    ]
    rules += [
        (r.crop_pixels <= r.resize_pixels, "crop_pixels should not exceed resize_pixels"),
        (
            r.batch_photos % r.micro_batch_photos == 0,
            f"batch_photos = {r.batch_photos} is no multiple of micro_batch_photos"
            f" = {r.micro_batch_photos}",
        ),
        (r.momentum < 1, "momentum should be below 1"),
        (r.label_smoothing < 1, "label_smoothing should be below 1"),
        (r.dropout < 1, "dropout should be below 1"),
        (all(d > 0 for d in r.deviation), "deviation should be above 0 in each channel"),
        (all(a < b for a, b in pairwise(r.decay_steps)), "decay_steps should rise"),
        (r.head in HEADS, f"head = {r.head!r} should be one of {HEADS}"),
        (
            r.frozen_stages == 0 or r.weights != "none",
            f'weights = "none" with frozen_stages = {r.frozen_stages} would keep random weights;'
            " pretrained ones can be frozen",
        ),
        (
            r.optimiser in OPTIMISERS,
            f"optimiser = {r.optimiser!r} should be one of {OPTIMISERS}",
        ),
        (r.precision in PRECISIONS, f"precision = {r.precision!r} should be one of {PRECISIONS}"),
    ]
    return rules


def _toml(value: str | float | tuple[float, ...]) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
