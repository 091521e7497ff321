"""Shortest script that names five species with timm or with Big Transfer; for cold_start.py.

    python benchmarks/cold_peer.py timm|bit WEIGHTS PHOTO

It imports only what it needs.
"""

from __future__ import annotations

import json
import sys

import torch
from PIL import Image

SPECIES, SIDE = 783, 456
NAMES = [f"Species {number:03}" for number in range(SPECIES)]


def timms(weights: str, photo: Image.Image) -> torch.Tensor:
    """Return the logits of timm's model with its own transforms."""
    import timm  # noqa: PLC0415 - only this peer needs it
    from safetensors.torch import load_file  # noqa: PLC0415
    from timm.data import create_transform  # noqa: PLC0415

    model = timm.create_model("resnetv2_50x1_bit", num_classes=SPECIES)
    model.load_state_dict(load_file(weights))
    half = (0.5, 0.5, 0.5)
    transform = create_transform(
        (3, SIDE, SIDE), interpolation="bilinear", mean=half, std=half, crop_pct=1.0,
        crop_mode="squash",
    )  # fmt: skip
    return model.eval()(transform(photo)[None])


def original(weights: str, photo: Image.Image) -> torch.Tensor:
    """Return the logits of Big Transfer as its authors run it."""
    import numpy as np  # noqa: PLC0415
    from bit_original import BigTransfer  # noqa: PLC0415

    model = BigTransfer(SPECIES)
    with np.load(weights) as file:
        model.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files})
    pixels = np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
    values = torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1
    return model.eval()(values[None])


def main() -> None:
    """Print the five most probable as JSON."""
    kind, weights, path = sys.argv[1:]
    photo = Image.open(path).convert("RGB")
    with torch.inference_mode():
        logits = {"timm": timms, "bit": original}[kind](weights, photo)
    top = logits[0].softmax(0).topk(5)
    guesses = [
        {"species": NAMES[column], "probability": value}
        for value, column in zip(top.values.tolist(), top.indices.tolist(), strict=True)
    ]
    print(json.dumps({"guesses": guesses}))


if __name__ == "__main__":
    main()
