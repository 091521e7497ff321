"""Runs that are killed, stopped, or run out of room, numbers or descriptors."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.lives import Life, begin_lives
from tests.support.training_process import train_words

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and reads /proc"),
]

STEPS = 12
SMALLEST = "test_efficientnet"  # of timm: batch norm, 0.1 million weights
# What differs from the `small` recipe: `processes` and `workers` belong to the place.
RUNS: list[dict[str, Any]] = [
    {"dropout": 0.5, "optimiser": "adamw", "learning_rate": 1e-3, "workers": 3, "batch_photos": 12},
    {"dropout": 0.2, "processes": 2},
    {"backbone": "bit_r14_half"},
    {"mixup_alpha": 1.0, "rotation_degrees": 20.0, "colour_jitter": 0.3, "workers": 4},
    {"backbone": "bit_r14_half", "processes": 2, "batch_photos": 16, "workers": 2},
    {"backbone": "tf_efficientnet_lite0", "dropout": 0.2, "workers": 2},
    {"backbone": "test_vit", "resize_pixels": 180, "crop_pixels": 160, "test_pixels": 160},
    {"precision": "bfloat16", "label_smoothing": 0.1, "evaluate_every_steps": 1},
    {"micro_batch_photos": 2, "workers": 4, "least_area": 0.3},
    {"processes": 2, "dropout": 0.5, "optimiser": "adamw", "learning_rate": 0.001},
]


@pytest.fixture(scope="module")
def lives():
    with begin_lives() as lives:
        yield lives


@pytest.fixture
def begin(coloured, small, tmp_path):
    """Words of a run in a folder of its own."""

    def words(name, *, workers=1, save_every=0.0, **changes):
        folder = tmp_path / name
        usual = {"backbone": SMALLEST, "steps": STEPS, "evaluate_every_steps": 6}
        recipe = small(**(usual | changes))
        out = folder / "run"
        return train_words(
            out, coloured, recipe, folder=folder, workers=workers, save_every=save_every
        )

    return words


def counted(processes: int) -> str:
    return f"{processes} process" + ("es" if processes > 1 else "")


def folder_of(words: list[str]) -> Path:
    return Path(words[words.index("--out") + 1])


def pieces(lived: list[Life]) -> dict[tuple[int, int], set[tuple[str, str]]]:
    """Photos and state of chance of each piece, as often as it was taken."""
    found: dict[tuple[int, int], set[tuple[str, str]]] = {}
    for note in (note for life in lived for note in life.notes if "step" in note):
        place = note["step"], note["number"]
        found.setdefault(place, set()).add((note["photos"], note["chance"]))
    return found


def losses(run: Path) -> dict[int, float]:
    """Of each step; of a repeated one the last time."""
    lines = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def ways_to_die(chance: np.random.Generator, run: dict[str, Any], seconds: float) -> list[Any]:
    """Four, in any order: twice inside a save, once in the middle of a step, once at any moment."""
    ranks, micro_batches = (
        run.get("processes", 1),
        run.get("batch_photos", 8) // run.get("micro_batch_photos", 4),
    )
    each = max(micro_batches // ranks, 1)
    orders = [
        {"save": int(chance.integers(1, 3)), "share": chance.random()},
        {"save": int(chance.integers(1, 3)), "call": int(chance.integers(5))},
        {"piece": int(chance.integers(1, 2 * each + 1)), "rank": int(chance.integers(ranks))},
        {
            "signal": signal.SIGKILL,
            "when": "step",
            "seconds": 0.3 * seconds * chance.random(),
            "wait_in_piece": 3 * each,  # or it might be over before
            "rank": int(chance.integers(ranks)),
        },
    ]
    return [orders[place] for place in chance.permutation(4)]


def test_a_killed_run_ends_as_one_that_was_never_killed(lives, begin, tmp_path, figure):
    """kill -9, every other one inside a save: weights, optimiser, chance, photos to the bit."""
    chance = np.random.default_rng(0)
    runs, kills, inside = RUNS, 0, 0
    for number, run in enumerate(runs):
        changes = {key: value for key, value in run.items() if key != "processes"}
        ranks = run.get("processes", 1)
        undisturbed = begin(f"{number}-undisturbed", save_every=300, **changes)
        whole = lives.live(undisturbed, tmp_path, processes=ranks)
        assert whole.statuses == [0] * ranks, whole.said
        words, lived = begin(f"{number}-killed", **changes), []
        for order in ways_to_die(chance, run, whole.seconds):
            life = lives.live(words, tmp_path, processes=ranks, **order)
            assert life.statuses[order.get("rank", 0)] == 128 + signal.SIGKILL, life.said
            assert "Traceback" not in life.said
            if "save" in order:
                assert life.killed
                assert life.killed.startswith("in a save")
            kills, inside = kills + 1, inside + ("save" in order)
            lived.append(life)
        lived.append(lives.live(words, tmp_path, processes=ranks))
        assert lived[-1].statuses == [0] * ranks, lived[-1].said
        out = folder_of(words)
        assert pieces(lived) == pieces([whole])
        assert losses(out) == losses(folder_of(undisturbed))
        assert lives.state_of(out) == lives.state_of(folder_of(undisturbed)), run
        assert not list(out.glob(".checkpoint*"))
    assert kills == 4 * len(runs) == 2 * inside
    figure(f"{kills} kills of {len(runs)} runs, {inside} of them inside a save: all to the bit")


MOMENTS = {"step": "training", "final_scores": "validating", "resume_checkpoint": "starting"}


@pytest.mark.parametrize("moment", MOMENTS)
def test_sigterm_saves_and_ends_in_time(lives, begin, tmp_path, figure, moment):
    """While it trains, judges or starts; what takes longer than the grace is not waited for."""
    steps = STEPS if moment == "final_scores" else 5000
    for processes in (1, 2):
        words = begin(f"run-{processes}", steps=steps, evaluate_every_steps=steps, save_every=300)
        order = {"signal": signal.SIGTERM, "all": True, "seconds": 0.05, "when": moment}
        if moment != "step":
            order["slow"] = [moment, 35]
        life = lives.live(words, tmp_path, processes=processes, **order)
        assert life.statuses == [128 + signal.SIGTERM] * processes, life.said
        assert life.seconds_to_end < 30
        assert "Traceback" not in life.said
        if moment == "resume_checkpoint":
            assert "ophis: stopped before the first step of 5,000" in life.said
            assert not (folder_of(words) / "checkpoint.pt").exists()
        else:
            assert "ophis: stopped and saved at step" in life.said
            done = lives.state_of(folder_of(words))["step"]
            assert done < steps if moment == "step" else done == steps
        figure(f"{MOMENTS[moment]}, {counted(processes)}: {life.seconds_to_end:.2f} s")


def test_ctrl_c_in_the_middle_of_a_step_changes_no_number(lives, begin, tmp_path):
    """Statistics of batch norm too, of the pieces of a step that was left in its middle."""
    changes = {
        "steps": 4, "batch_photos": 12, "dropout": 0.2,
        "evaluate_every_steps": 4,
    }  # fmt: skip
    words, undisturbed = begin("run", **changes), begin("undisturbed", **changes)
    order = {"signal": signal.SIGINT, "in_piece": 5}  # the second of three
    life = lives.live(words, tmp_path, **order)
    assert life.statuses == [128 + signal.SIGINT], life.said
    assert "ophis: stopped and saved at step 1 of 4" in life.said
    assert "the same command goes on from there" in life.said
    assert "Traceback" not in life.said
    for each in (words, undisturbed):
        assert lives.live(each, tmp_path).statuses == [0]
    assert lives.state_of(folder_of(words)) == lives.state_of(folder_of(undisturbed))


def test_a_full_disk_leaves_the_old_checkpoint_and_says_what_is_needed(
    lives, begin, tmp_path, figure
):
    words = begin("run")
    assert lives.live(words, tmp_path, save=3, call=0).killed
    out = folder_of(words)
    old = (out / "checkpoint.pt").read_bytes()
    places = np.linspace(0, len(old) - 1, 20).astype(int).tolist()
    for most in places:
        life = lives.live(words, tmp_path, most_bytes=most)
        assert life.statuses == [2]
        lines = [line for line in life.said.splitlines() if line.startswith("ophis: ")]
        assert lines == [
            f"ophis: {out}/checkpoint.pt: could not be written: File too large"
            f" ({len(old):,} bytes needed, {most:,} written); the checkpoint before stands; free"
            " space, and the same command goes on from it"
        ]
        assert "Traceback" not in life.said
        assert (out / "checkpoint.pt").read_bytes() == old
        assert not list(out.glob(".checkpoint*"))
    assert lives.live(words, tmp_path).statuses == [0]
    figure(f"{len(places)} places from byte 0 to {places[-1]:,}")


def test_a_log_that_cannot_be_written_is_one_line(lives, begin, tmp_path):
    words = begin("run", steps=30, evaluate_every_steps=30, save_every=300)
    life = lives.live(words, tmp_path, all_bytes=1800)
    assert life.statuses == [2], life.said
    assert life.said.splitlines() == [
        f"ophis: {folder_of(words)}: the log cannot be written: File too large; the last"
        " checkpoint stands; free space, and the same command goes on from it"
    ]
    assert lives.live(words, tmp_path).statuses == [0]
    assert sorted(losses(folder_of(words))) == list(range(30))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("factor", "line"),
    [("nan", "the loss is nan"), ("1e25", "the optimiser's exp_avg_sq is no longer finite")],
)
def test_numbers_that_run_away_stop_and_are_not_saved(
    lives, begin, tmp_path, figure, processes, factor, line
):
    """By the last of the processes. Of AdamW squares of gradients overflow, and no weight does."""
    words = begin("run", optimiser="adamw", learning_rate=0.001)
    last = {"rank": processes - 1, "poison": [4, factor]}
    life = lives.live(words, tmp_path, processes=processes, **last)
    assert life.statuses == [2] * processes, life.said
    step = 4 if factor == "nan" else 5
    assert life.said.count(f"ophis: step {step}: {line}") == processes, life.said
    assert max(losses(folder_of(words))) == step - 1
    assert lives.state_of(folder_of(words))["step"] == 4
    assert lives.state_of(folder_of(words))["finite"]
    figure(f"loss of step 4 times {factor}, {counted(processes)}: stopped at step {step}")


def test_descriptors_stay_as_they_are(lives, begin, tmp_path, figure):
    """Saved, judged and logged at every step, within 256 of them."""
    epochs, workers = 30, 2
    words = begin(
        "run", workers=workers, steps=3 * epochs, evaluate_every_steps=1, decay_steps=(2,)
    )
    life = lives.live(words, tmp_path, descriptors=256)
    assert life.statuses == [0], life.said
    opened = [note["descriptors"] for note in life.notes if "descriptors" in note]
    first, later = opened[:2], opened[2:]
    assert len(later) == 2 * (3 * epochs - 1)
    assert max(later) <= min(first) + workers  # each may have a photo open
    figure(f"{epochs} epochs: {min(opened)} to {max(opened)} descriptors")
