"""Time to the first answer of a new process: start, load a BiT-R50x1, read a photo, name species.

    python benchmarks/cold_start.py [--photos MANIFEST] [--rounds 5]

ophis is the whole command `ophis identify BUNDLE PHOTO --json`, with all its checks and output.
The peers are the shortest script with timm (its model, its transforms, weights from safetensors)
and with Big Transfer as its authors run it (`bit_original.py`, weights from .npz); see
`cold_peer.py`. All three hold the same weights. Files are in the system's cache. Modules are
compiled, as those of an installed package are from its second start on: bytecode goes to a separate
folder, also where the environment forbids writing it. Time is wall-clock time, memory the peak
that the system counted for the process.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import torch
from bit_original import with_weights_of
from predict import SPECIES, bundled
from safetensors.torch import save_file
from side_by_side import Row, alone, arguments, report, row

from ophis import read_manifest
from ophis.datasets.synthetic import sample
from ophis.train.networks.model import create_model

HERE = Path(__file__).resolve().parent
MOST_MEMORY = 450  # MB, in float32


def main() -> None:
    """Write the weights in three formats and start the three programs in turn."""
    parser = arguments(__doc__)
    parser.set_defaults(rounds=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # The first turn, which is not counted, compiles; otherwise each start would compile again.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
        manifest = read_manifest(options.photos or sample(folder / "photos", count=36))
        commands = commands_of(folder, manifest.paths()[0])
        report(rows(commands, options.rounds), options.rows)


def commands_of(folder: Path, photo: Path) -> dict[str, list[str]]:
    """Return the command lines, by program."""
    model = create_model("resnetv2_50x1_bit", species=len(SPECIES), weights="none", head="random")
    bundled(model.eval(), folder / "bundle")
    save_file(model.state_dict(), folder / "timm.safetensors")
    original = with_weights_of(model, len(SPECIES)).state_dict()
    np.savez(folder / "bit.npz", **{name: t.numpy() for name, t in original.items()})
    peer = [sys.executable, str(HERE / "cold_peer.py")]
    command = [sys.executable, "-m", "ophis", "identify", str(folder / "bundle"), str(photo)]
    return {
        "ophis": [*command, "--json"],
        "timm": [*peer, "timm", str(folder / "timm.safetensors"), str(photo)],
        "bit": [*peer, "bit", str(folder / "bit.npz"), str(photo)],
    }  # fmt: skip


def rows(commands: dict[str, list[str]], rounds: int) -> list[Row]:
    """Return the rows of time and memory against both peers."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    memory: dict[str, list[float]] = {name: [] for name in commands}
    answers: dict[str, dict[str, float]] = {}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            done = alone(command)
            guesses = json.loads(done.output)["guesses"]
            answers[name] = {guess["species"]: guess["probability"] for guess in guesses}
            if turn:
                seconds[name].append(done.seconds)
                memory[name].append(done.megabytes)
    peers = {"timm": f"timm {version('timm')}", "bit": "Big Transfer, re-written"}
    reaches = {"timm": 8.0, "bit": 3.0}
    least, middle, most = (f(memory["ophis"]) for f in (min, median, max))
    met = "met" if middle <= MOST_MEMORY else "not met"
    held = f"ophis {least:.0f} to {most:.0f}; median at most {MOST_MEMORY}: {met}"
    found = []
    for name, peer in peers.items():
        apart = difference(answers["ophis"], answers[name])
        both = (seconds["ophis"], seconds[name])
        found += [
            row("first answer of a cold process", peer, both, reach=reaches[name],
                difference=f"probabilities {apart:.1e}"),
            row("the same, peak memory", peer, (memory["ophis"], memory[name]), unit="MB",
                difference=held),
        ]  # fmt: skip
    return found


def difference(own: dict[str, float], other: dict[str, float]) -> float:
    """Return the largest difference of a probability; the species must be the same."""
    if set(own) != set(other):
        sys.exit(f"cold_start: the species differ: {set(own) ^ set(other)}")
    return max(abs(own[name] - other[name]) for name in own)


if __name__ == "__main__":
    main()
