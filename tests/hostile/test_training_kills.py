"""Training runs that are killed, stopped, or short of disk space, numbers or descriptors."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.forked_training import TrainingResult, training_runs
from tests.support.training_process import train_words

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and reads /proc"),
]

STEPS = 12
SMALLEST = "test_efficientnet"  # of timm: batch norm, 0.1 million weights
# Differences to the recipe `small`; `processes` and `workers` are no keys of a recipe.
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
def trainer():
    with training_runs() as runs:
        yield runs


@pytest.fixture
def command(coloured, small, tmp_path):
    """Return command lines, each of a run in another folder."""

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


def micro_batches(results: list[TrainingResult]) -> dict[tuple[int, int], set[tuple[str, str]]]:
    """Return photos and random state of each micro-batch, over all runs."""
    found: dict[tuple[int, int], set[tuple[str, str]]] = {}
    for note in (note for result in results for note in result.notes if "step" in note):
        place = note["step"], note["number"]
        found.setdefault(place, set()).add((note["photos"], note["rng"]))
    return found


def losses(run: Path) -> dict[int, float]:
    """Return the loss of each step, the last one of a repeated step."""
    lines = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def ways_to_end(rng: np.random.Generator, run: dict[str, Any], seconds: float) -> list[Any]:
    """Return four in random order: two inside a save, one inside a step, one at any time."""
    ranks, micro_batches = (
        run.get("processes", 1),
        run.get("batch_photos", 8) // run.get("micro_batch_photos", 4),
    )
    each = max(micro_batches // ranks, 1)
    orders = [
        {"save": int(rng.integers(1, 3)), "fraction": rng.random()},
        {"save": int(rng.integers(1, 3)), "call": int(rng.integers(5))},
        {"micro_batch": int(rng.integers(1, 2 * each + 1)), "rank": int(rng.integers(ranks))},
        {
            "signal": signal.SIGKILL,
            "when": "step",
            "seconds": 0.3 * seconds * rng.random(),
            "wait_in_micro_batch": 3 * each,  # the run must not end before
            "rank": int(rng.integers(ranks)),
        },
    ]
    return [orders[place] for place in rng.permutation(4)]


def test_killed_run_ends_as_undisturbed_run(trainer, command, tmp_path, figure):
    """SIGKILL, half of them inside a save: weights, optimiser and random state are identical."""
    rng = np.random.default_rng(0)
    runs, kills, inside = RUNS, 0, 0
    for number, run in enumerate(runs):
        changes = {key: value for key, value in run.items() if key != "processes"}
        ranks = run.get("processes", 1)
        undisturbed = command(f"{number}-undisturbed", save_every=300, **changes)
        whole = trainer.run(undisturbed, tmp_path, processes=ranks)
        assert whole.statuses == [0] * ranks, whole.output
        words, results = command(f"{number}-killed", **changes), []
        for order in ways_to_end(rng, run, whole.seconds):
            result = trainer.run(words, tmp_path, processes=ranks, **order)
            assert result.statuses[order.get("rank", 0)] == 128 + signal.SIGKILL, result.output
            assert "Traceback" not in result.output
            if "save" in order:
                assert result.killed
                assert result.killed.startswith("in a save")
            kills, inside = kills + 1, inside + ("save" in order)
            results.append(result)
        results.append(trainer.run(words, tmp_path, processes=ranks))
        assert results[-1].statuses == [0] * ranks, results[-1].output
        out = folder_of(words)
        assert micro_batches(results) == micro_batches([whole])
        assert losses(out) == losses(folder_of(undisturbed))
        assert trainer.state_of(out) == trainer.state_of(folder_of(undisturbed)), run
        assert not list(out.glob(".checkpoint*"))
    assert kills == 4 * len(runs) == 2 * inside
    figure(f"{kills} kills of {len(runs)} runs, {inside} of them inside a save: all to the bit")


MOMENTS = {"step": "training", "final_scores": "validation", "resume_checkpoint": "start"}


@pytest.mark.parametrize("moment", MOMENTS)
def test_sigterm_saves_and_ends(trainer, command, tmp_path, figure, moment):
    """During training, validation and start; a run does not wait beyond its grace period."""
    steps = STEPS if moment == "final_scores" else 5000
    for processes in (1, 2):
        words = command(f"run-{processes}", steps=steps, evaluate_every_steps=steps, save_every=300)
        order = {"signal": signal.SIGTERM, "all": True, "seconds": 0.05, "when": moment}
        if moment != "step":
            order["slow"] = [moment, 35]
        result = trainer.run(words, tmp_path, processes=processes, **order)
        assert result.statuses == [128 + signal.SIGTERM] * processes, result.output
        assert "Traceback" not in result.output
        if moment == "resume_checkpoint":
            assert "ophis: stopped before the first step of 5,000" in result.output
            assert not (folder_of(words) / "checkpoint.pt").exists()
        else:
            assert "ophis: stopped and saved at step" in result.output
            done = trainer.state_of(folder_of(words))["step"]
            assert done < steps if moment == "step" else done == steps
        figure(f"{MOMENTS[moment]}, {counted(processes)}: {result.seconds_to_end:.2f} s")


def test_ctrl_c_inside_a_step_changes_no_result(trainer, command, tmp_path):
    """Also the batch norm statistics of the micro-batches of the unfinished step."""
    changes = {
        "steps": 4, "batch_photos": 12, "dropout": 0.2,
        "evaluate_every_steps": 4,
    }  # fmt: skip
    words, undisturbed = command("run", **changes), command("undisturbed", **changes)
    order = {"signal": signal.SIGINT, "in_micro_batch": 5}  # the second of three
    result = trainer.run(words, tmp_path, **order)
    assert result.statuses == [128 + signal.SIGINT], result.output
    assert "ophis: stopped and saved at step 1 of 4" in result.output
    assert "the same command goes on from there" in result.output
    assert "Traceback" not in result.output
    for each in (words, undisturbed):
        assert trainer.run(each, tmp_path).statuses == [0]
    assert trainer.state_of(folder_of(words)) == trainer.state_of(folder_of(undisturbed))


def test_full_disk_keeps_old_checkpoint_and_names_needed_bytes(trainer, command, tmp_path, figure):
    words = command("run")
    assert trainer.run(words, tmp_path, save=3, call=0).killed
    out = folder_of(words)
    old = (out / "checkpoint.pt").read_bytes()
    places = np.linspace(0, len(old) - 1, 20).astype(int).tolist()
    for limit in places:
        result = trainer.run(words, tmp_path, save_byte_limit=limit)
        assert result.statuses == [2]
        lines = [line for line in result.output.splitlines() if line.startswith("ophis: ")]
        assert lines == [
            f"ophis: {out}/checkpoint.pt: could not be written: File too large"
            f" ({len(old):,} bytes needed, {limit:,} written); the checkpoint before stands; free"
            " space, and the same command goes on from it"
        ]
        assert "Traceback" not in result.output
        assert (out / "checkpoint.pt").read_bytes() == old
        assert not list(out.glob(".checkpoint*"))
    assert trainer.run(words, tmp_path).statuses == [0]
    figure(f"{len(places)} places from byte 0 to {places[-1]:,}")


def test_unwritable_log_is_one_line(trainer, command, tmp_path):
    words = command("run", steps=30, evaluate_every_steps=30, save_every=300)
    result = trainer.run(words, tmp_path, byte_limit=1800)
    assert result.statuses == [2], result.output
    assert result.output.splitlines() == [
        f"ophis: {folder_of(words)}: the log cannot be written: File too large; the last"
        " checkpoint is intact; free space, and the same command goes on from it"
    ]
    assert trainer.run(words, tmp_path).statuses == [0]
    assert sorted(losses(folder_of(words))) == list(range(30))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("factor", "line"),
    [("nan", "the loss is nan"), ("1e25", "the optimiser's exp_avg_sq is no longer finite")],
)
def test_run_with_infinite_numbers_stops_without_saving(
    trainer, command, tmp_path, figure, processes, factor, line
):
    """In the last process. With AdamW the squared gradients overflow, the weights do not."""
    words = command("run", optimiser="adamw", learning_rate=0.001)
    last = {"rank": processes - 1, "poison": [4, factor]}
    result = trainer.run(words, tmp_path, processes=processes, **last)
    assert result.statuses == [2] * processes, result.output
    step = 4 if factor == "nan" else 5
    assert result.output.count(f"ophis: step {step}: {line}") == processes, result.output
    assert max(losses(folder_of(words))) == step - 1
    assert trainer.state_of(folder_of(words))["step"] == 4
    assert trainer.state_of(folder_of(words))["finite"]
    figure(f"loss of step 4 times {factor}, {counted(processes)}: stopped at step {step}")


def test_number_of_descriptors_stays_constant(trainer, command, tmp_path, figure):
    """Save, evaluate and log at every step, with at most 256 descriptors."""
    epochs, workers = 30, 2
    words = command(
        "run", workers=workers, steps=3 * epochs, evaluate_every_steps=1, decay_steps=(2,)
    )
    result = trainer.run(words, tmp_path, descriptors=256)
    assert result.statuses == [0], result.output
    opened = [note["descriptors"] for note in result.notes if "descriptors" in note]
    first, later = opened[:2], opened[2:]
    assert len(later) == 2 * (3 * epochs - 1)
    assert max(later) <= min(first) + workers  # each may have a photo open
    figure(f"{epochs} epochs: {min(opened)} to {max(opened)} descriptors")
