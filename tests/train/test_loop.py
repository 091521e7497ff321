import json
import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from torch.nn import functional

from ophis import InputError, evaluate, read_recipe, read_scores
from ophis.train import fit
from ophis.train.batches import Batches, mix, mixup_coefficient, mixup_partners, photo_at
from ophis.train.checkpoint import load_checkpoint
from ophis.train.gradient import accumulate
from ophis.train.networks.model import create_model
from ophis.train.networks.weights import pretrained_lite0
from ophis.train.processes import Processes, autocast_dtype, choose_device, on_device
from ophis.train.run_log import Progress
from ophis.train.training_state import create_optimiser

ALONE = Processes(torch.device("cpu"))


def gradients(model):
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_accumulated_gradient_equals_that_of_one_large_batch(coloured, small):
    """16 batches of 2, mixup and label smoothing on, in float64, group norm."""
    recipe = small(
        backbone="resnetv2_50x1_bit", batch_photos=32, micro_batch_photos=2, mixup_alpha=1.0,
        label_smoothing=0.1, head="random",
    )  # fmt: skip
    torch.manual_seed(0)
    model = create_model(recipe.backbone, species=3, weights="none", head="random").double()
    truth = coloured.truth(coloured.species_list())
    made = Batches(recipe, coloured.paths(), truth, workers=2)
    batches = [p for p in made.micro_batches(0) if p.step == 0]
    doubles = [replace(p, pixels=p.pixels.double()) for p in batches]
    loss = accumulate(model, iter(doubles), recipe, ALONE, None)
    accumulated = gradients(model)

    model.zero_grad()
    coefficient = mixup_coefficient(recipe, 0)
    partners = [mixup_partners(recipe, p) for p in batches]
    mixed = [mix(p.pixels, coefficient, q) for p, q in zip(doubles, partners, strict=True)]
    own = torch.cat([p.truth for p in batches])
    other = torch.cat([p.truth[q] for p, q in zip(batches, partners, strict=True)])
    logits = model(torch.cat(mixed))
    whole = coefficient * functional.cross_entropy(logits, own, label_smoothing=0.1)
    whole = whole + (1 - coefficient) * functional.cross_entropy(logits, other, label_smoothing=0.1)
    whole.backward()

    assert loss == pytest.approx(whole.item(), rel=1e-9)
    assert len(accumulated) > 100
    for name, gradient in gradients(model).items():
        assert torch.allclose(accumulated[name], gradient, rtol=1e-6, atol=1e-9), name


def test_loss_is_the_mean_of_micro_batches_and_read_once_a_step(coloured, small, monkeypatch):
    from ophis.train import gradient

    recipe = small(head="random", batch_photos=28)
    model = create_model(recipe.backbone, species=3, weights="none", head="random")
    truth = coloured.truth(coloured.species_list())
    real, losses, read = gradient.micro_batch_loss, [], []

    def remembered(*arguments):
        losses.append(real(*arguments))
        return losses[-1]

    item = torch.Tensor.item
    monkeypatch.setattr(gradient, "micro_batch_loss", remembered)
    monkeypatch.setattr(torch.Tensor, "item", lambda tensor: (read.append(1), item(tensor))[1])
    batches = Batches(recipe, coloured.paths(), truth, workers=1).micro_batches(0)
    mean = accumulate(model, batches, recipe, ALONE, None)
    assert not read
    expected = 0.0
    for loss in losses:
        expected += loss.item() / 7
    assert len(losses) == 7
    assert mean == expected


def test_copy_to_gpu_is_pinned_and_asynchronous_with_a_fake_tensor():
    calls = []

    class Remembering:
        device = torch.device("cpu")

        def pin_memory(self):
            calls.append("pinned")
            return self

        def to(self, *device, **options):
            calls.append((*device, options))
            return self

    on_device(Remembering(), torch.device("cuda"))
    assert calls == ["pinned", (torch.device("cuda"), {"non_blocking": True})]
    calls.clear()
    on_device(Remembering(), torch.device("cpu"))
    assert calls == [(torch.device("cpu"), {})]


def test_label_smoothing_changes_the_loss(coloured, small):
    truth = coloured.truth(coloured.species_list())
    losses = []
    for smoothing in (0.0, 0.2):
        recipe = small(label_smoothing=smoothing, head="random", mixup_alpha=0.0)
        torch.manual_seed(0)
        model = create_model(recipe.backbone, species=3, weights="none", head="random")
        batches = Batches(recipe, coloured.paths(), truth, workers=1).micro_batches(0)
        losses.append(accumulate(model, batches, recipe, ALONE, None))
    assert losses[0] != losses[1]


def test_run_learns_and_writes_all_to_repeat_it(halves, small, tmp_path):
    train, validation = halves
    recipe = small(
        backbone="bit_r14_half", resize_pixels=72, crop_pixels=64, test_pixels=64,
        batch_photos=16, micro_batch_photos=16, steps=30, learning_rate=0.02,
        evaluate_every_steps=10, decay_steps=(25,),
    )  # fmt: skip
    out = fit(recipe, train=train, validation=validation, out=tmp_path / "run")
    scores = read_scores(out / "scores.npz")
    assert scores.photo_ids == tuple(validation.table["photo_id"])
    assert evaluate(scores).top1 > 0.9
    assert read_recipe(out / "recipe.toml") == recipe
    facts = json.loads((out / "run.json").read_text())
    assert facts["train"] == {"photos": 24, "sha256": train.sha256()}
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == list(range(30))
    assert steps[0]["learning_rate"] == 0
    assert steps[-1]["learning_rate"] == pytest.approx(0.002)
    assert [line["step"] for line in lines if "validation_top1" in line] == [10, 20, 30]
    assert list((out / "tensorboard").glob("events*"))


def test_first_loss_is_that_of_a_zero_head(halves, small, tmp_path):
    train, validation = halves
    out = fit(small(steps=1), train=train, validation=validation, out=tmp_path / "r")
    first = json.loads((out / "log.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(np.log(3), rel=1e-6)


@pytest.mark.parametrize(
    "change", [{}, {"optimiser": "adamw", "learning_rate": 0.001}], ids=["sgd", "adamw"]
)
def test_resumed_run_has_the_weights_of_an_uninterrupted_one(
    halves, small, tmp_path, monkeypatch, change
):
    train, validation = halves
    recipe = small(steps=6, **change)
    whole = fit(recipe, train=train, validation=validation, out=tmp_path / "whole")

    from ophis.train import Stopped, loop

    real, calls = loop.accumulate, []

    def stopping(*arguments):
        calls.append(1)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(loop, "accumulate", stopping)
    with pytest.raises(Stopped, match=r"saved at step 3 of 6 .* the same command goes on") as stop:
        fit(recipe, train=train, validation=validation, out=tmp_path / "cut")
    assert stop.value.signal == signal.SIGTERM
    monkeypatch.undo()
    cut = fit(recipe, train=train, validation=validation, out=tmp_path / "cut")
    first, second = load_checkpoint(whole), load_checkpoint(cut)
    assert first
    assert second
    assert (first.step, second.step) == (6, 6)
    for name, tensor in first.model.items():
        assert torch.allclose(tensor, second.model[name], rtol=1e-5, atol=1e-6), name


def test_frozen_stages_keep_weights_and_statistics(halves, small, tmp_path):
    train, validation = halves
    before = pretrained_lite0().state_dict()
    recipe = small(
        backbone="tf_efficientnet_lite0", weights="lite0", frozen_stages=3, steps=3,
        learning_rate=0.02, warmup_steps=1, resize_pixels=40, crop_pixels=32, test_pixels=32,
    )  # fmt: skip
    run = fit(recipe, train=train, validation=validation, out=tmp_path / "run")
    saved = load_checkpoint(run)
    assert saved
    frozen = ("conv_stem.", "bn1.", "blocks.0.", "blocks.1.")  # the stem and two stages
    body = {name: t for name, t in saved.model.items() if not name.startswith("classifier.")}
    moved = {name for name, tensor in body.items() if not torch.equal(tensor, before[name])}
    assert not any(name.startswith(frozen) for name in moved)
    rest = [name for name in body if not name.startswith(frozen)]
    assert len(moved) > 0.95 * len(rest)  # some biases move by less than a rounding step


def test_run_stopped_in_validation_validates_when_it_resumes(halves, small, tmp_path, monkeypatch):
    from ophis.train import Stopped, loop

    train, validation = halves
    call = {"train": train, "validation": validation, "out": tmp_path / "run"}
    real = loop.score_model

    def stopped(*arguments, **named):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments, **named)

    monkeypatch.setattr(loop, "score_model", stopped)
    with pytest.raises(Stopped, match="saved at step 2 of 4"):
        fit(small(), **call)
    monkeypatch.undo()
    log = fit(small(), **call) / "log.jsonl"

    def validated():
        lines = map(json.loads, log.read_text().splitlines())
        return [line["step"] for line in lines if "validation_top1" in line]

    assert validated() == [2, 4]
    fit(small(), **call)  # finished: validated again, and only at the end
    assert validated() == [2, 4, 4]


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_optimiser_is_that_of_the_recipe(small, name, kind):
    recipe = small(optimiser=name, momentum=0.7, weight_decay=0.01)
    found = create_optimiser(recipe, [torch.nn.Parameter(torch.zeros(1))])
    assert type(found) is kind
    group = found.param_groups[0]
    assert group["weight_decay"] == 0.01
    assert group.get("momentum", group.get("betas", [0])[0]) == 0.7


def test_folder_of_another_run_is_refused(halves, small, tmp_path):
    train, validation = halves
    out = fit(small(steps=1), train=train, validation=validation, out=tmp_path / "r")
    before = (out / "checkpoint.pt").read_bytes()
    with pytest.raises(InputError, match="another recipe; choose another run folder"):
        fit(small(steps=2), train=train, validation=validation, out=out)
    with pytest.raises(InputError, match="another training manifest"):
        fit(small(steps=1), train=train.take(np.arange(20)), validation=validation, out=out)
    assert (out / "checkpoint.pt").read_bytes() == before


def test_infinite_loss_stops_without_saving(halves, small, tmp_path):
    train, validation = halves
    with pytest.raises(InputError, match=r"the loss is (nan|inf)|no longer finite"):
        fit(
            small(steps=10, learning_rate=1e30, warmup_steps=0),
            train=train, validation=validation, out=tmp_path / "r",
        )  # fmt: skip
    saved = load_checkpoint(tmp_path / "r")
    assert saved is None or all(t.isfinite().all() for t in saved.model.values())


def test_unreadable_photo_stops_the_run_after_saving(halves, small, tmp_path):
    train, validation = halves
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in train.paths():
        (photos / path.name).write_bytes(path.read_bytes())
    recipe = small(steps=20, evaluate_every_steps=20, mixup_alpha=0.0)
    copied = replace(train, folder=photos)
    # The photo that the run needs last of its first epoch: some steps are done before it.
    last = next(p for p in range(23, -1, -1) if p // recipe.batch_photos >= 2)
    bad = copied.paths()[photo_at(last, photos=24, seed=recipe.seed)]
    bad.write_bytes(b"this is text")
    call = {"train": copied, "validation": validation, "check_photos": False}
    with pytest.raises(InputError, match=f"{bad.name}: this is no photo"):
        fit(recipe, **call, out=tmp_path / "run")
    saved = load_checkpoint(tmp_path / "run")
    assert saved
    assert saved.step == 2


def test_invalid_inputs_are_refused_before_anything_is_written(halves, small, tmp_path):
    train, validation = halves
    from ophis import SpeciesList

    nameless = validation.table.with_columns(species=pl.lit(None, dtype=pl.String))
    unlabelled = replace(validation, table=nameless)
    cases = [
        ({"species": SpeciesList(("Made blue", "Made green", "Made red", "Made up"))}, "'Made up'"),
        ({"validation": train}, "is in training and validation"),
        ({"device": "cuda:9" if not torch.cuda.is_available() else "tpu9"}, "device"),
        ({"compile": True, "device": "cpu"}, "compile needs a CUDA device, not cpu"),
        ({"device": "abacus"}, "no device is called 'abacus'"),
        ({"validation": unlabelled}, "no validation photo has a species"),
    ]
    for change, words in cases:
        call = {"train": train, "validation": validation} | change
        with pytest.raises(InputError) as error:
            fit(small(), out=tmp_path / "run", **call)
        assert words in str(error.value)
        assert not (tmp_path / "run").exists()


def test_precision_depends_on_the_device():
    cpu = choose_device("cpu")
    assert autocast_dtype("float32", cpu) is None
    assert autocast_dtype("bfloat16", cpu) is torch.bfloat16
    assert autocast_dtype("auto", cpu) in (None, torch.bfloat16)


def test_second_training_in_the_folder_is_refused(halves, small, tmp_path):
    train, validation = halves
    call = {"train": train, "validation": validation, "out": tmp_path / "run"}
    refused = []

    class Meanwhile(Progress):
        def step_done(self, figures):
            if figures.step == 0:
                with pytest.raises(
                    InputError, match=r"run: another process is writing there; wait"
                ):
                    fit(small(), **call)
                refused.append(True)

    fit(small(), **call, progress=Meanwhile())
    assert refused
    assert not (tmp_path / "run" / ".lock").exists()


def test_moved_run_folder_ends_the_run_and_is_not_made_again(halves, small, tmp_path):
    train, validation = halves
    out = tmp_path / "run"

    class Mover(Progress):
        def step_done(self, figures):
            if figures.step == 1:
                out.rename(tmp_path / "moved")

    with pytest.raises(InputError, match=r"run: was moved or removed while it was written"):
        fit(small(), train=train, validation=validation, out=out, progress=Mover())
    assert not out.exists()


def test_photos_changed_between_stop_and_start_are_noticed(halves, small, tmp_path):
    train, validation = halves
    photos = tmp_path / "photos"
    shutil.copytree(train.folder, photos)
    train, out = replace(train, folder=photos), tmp_path / "run"
    fit(small(steps=1), train=train, validation=validation, out=out)
    lines = []

    class Lines(Progress):
        def message(self, line):
            lines.append(line)

    fewer = validation.take(np.arange(6))
    call = {"train": train, "out": out, "progress": Lines()}
    fit(small(steps=1), validation=fewer, **call)
    assert any("the validation table is another one than before" in line for line in lines)
    Image.new("RGB", (64, 64), "gold").save(train.paths()[3])
    before = (out / "checkpoint.pt").read_bytes()
    with pytest.raises(InputError, match="the files of 1 training photos have changed since"):
        fit(small(steps=1), validation=fewer, **call)
    assert (out / "checkpoint.pt").read_bytes() == before


class AtStep(Progress):
    """Calls a function after a step; keeps the messages."""

    def __init__(self, step, change):
        self.step, self.change, self.lines = step, change, []

    def step_done(self, figures):
        if figures.step == self.step:
            self.change()

    def message(self, line):
        self.lines.append(line)


@pytest.fixture
def own_photos(halves, tmp_path):
    """Training and validation photos in a folder that may be changed."""
    shutil.copytree(halves[0].folder, tmp_path / "photos")
    return [replace(half, folder=tmp_path / "photos") for half in halves]


@pytest.mark.parametrize("replaced", [True, False])
def test_photo_that_changes_during_training_stops_the_run(own_photos, small, tmp_path, replaced):
    train, validation = own_photos
    one, other = train.paths()[3], train.paths()[20]
    before = one.read_bytes(), other.read_bytes()

    def change():
        one.write_bytes(before[1])
        if not replaced:
            other.write_bytes(before[0])  # exchanged: the set of contents is the same

    recipe, out = small(steps=9, evaluate_every_steps=9), tmp_path / "run"
    call = {"train": train, "validation": validation, "out": out, "workers": 1}
    line = rf"({one.name}|{other.name}): the file has changed since .*; put the former file back"
    with pytest.raises(InputError, match=line):
        fit(recipe, **call, progress=AtStep(3, change))
    saved = load_checkpoint(out)
    assert saved
    assert 3 <= saved.step < 9


def test_photo_that_changes_after_its_last_use_is_not_in_the_ood_model(own_photos, small, tmp_path):
    train, validation = own_photos
    first = train.paths()[0]
    recipe, out = small(steps=3, evaluate_every_steps=3), tmp_path / "run"
    end = AtStep(2, lambda: first.write_bytes(first.read_bytes() + b"changed"))
    with pytest.raises(InputError, match="files of 1 training photos have changed since the netw"):
        fit(recipe, train=train, validation=validation, out=out, progress=end)
    saved = load_checkpoint(out)
    assert saved
    assert saved.step == 3


def test_changed_validation_photos_are_reported(own_photos, small, tmp_path):
    train, validation = own_photos
    first = validation.paths()[0]
    recipe = small(steps=4, evaluate_every_steps=2)
    end = AtStep(2, lambda: first.write_bytes(first.read_bytes() + b"changed"))
    fit(recipe, train=train, validation=validation, out=tmp_path / "run", progress=end)
    line = "the files of 1 validation photos have changed since the last evaluation, the first is"
    assert [found for found in end.lines if found.startswith(line)]
