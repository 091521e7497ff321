"""fit(): the training loop of the paper, readable from top to bottom."""

from __future__ import annotations

import math
import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ophis.errors import InputError
from ophis.metrics import evaluate
from ophis.sides import SCORES
from ophis.train import run
from ophis.train.batches import Batches, mix, mixup_partners, mixup_share
from ophis.train.checkpoint import (
    SECONDS_BETWEEN_SAVES,
    Checkpoint,
    diverged,
    load_checkpoint,
    require_finite,
    require_same_run,
    save_checkpoint,
)
from ophis.train.evaluation import score_model
from ophis.train.familiarity import FILE as FAMILIARITY
from ophis.train.familiarity import fit_familiarity
from ophis.train.fused_norm import fused_norms, require_fused_norms
from ophis.train.group_norm import fast_group_norm
from ophis.train.model import create_model, freeze
from ophis.train.processes import Processes, autocast_dtype, on_device
from ophis.train.runlog import RunLog
from ophis.train.standardisation import standardised_once
from ophis.train.stop import StepInterrupted, StopRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from ophis.manifest import Manifest
    from ophis.recipe import Recipe
    from ophis.taxa import SpeciesList
    from ophis.train.batches import MicroBatch
    from ophis.train.familiarity import Familiarity


def fit(
    recipe: Recipe,
    *,
    train: Manifest,
    validation: Manifest,
    out: str | Path,
    species: SpeciesList | None = None,
    device: str = "auto",
    workers: int | None = None,
    weights_folder: str | Path = ".",
    fused: bool = False,
    save_every_seconds: float = SECONDS_BETWEEN_SAVES,
    quiet: bool = False,
) -> Path:
    """Fine-tune a model by a recipe; go on where an earlier call for ``out`` stopped.

    Args:
        recipe: the science.
        train: labelled photos to learn from.
        validation: labelled photos to judge by; none of them is learned from.
        out: the run folder: checkpoint, log, validation scores, all to repeat the run.
        species: the classes in order; by default those of the training photos.
        device: "auto", "cpu", "cuda".
        workers: threads that read photos; by default one a processor core.
        weights_folder: where the recipe's weights file lies.
        fused: train with group norm and ReLU as one kernel, on a GPU; see `fused_norm`.
        save_every_seconds: so much of the work is lost, at the most, with a process that is
            killed; 0 saves after every step.
        quiet: show nothing while it runs.

    Returns:
        The run folder.

    Raises:
        InputError: when recipe, photos, weights and folder do not fit together.
        Stopped: after Ctrl-C or SIGTERM, when the state has been saved.
    """
    out, workers = Path(out), workers or os.cpu_count() or 1
    species = species or train.species_list()
    run.require_fit(recipe, train, validation, species)
    if not save_every_seconds >= 0:
        raise InputError(f"--save-every {save_every_seconds} should be 0 seconds or more")
    with Processes.from_environment(device) as processes, StopRequest() as stop:
        if fused:
            require_fused_norms(processes.device)
        saved = load_checkpoint(out)
        if saved:
            require_same_run(saved, recipe, train.sha256(), out)
        model, frozen, optimiser = _begin(recipe, species, processes, Path(weights_folder), saved)
        first = saved.step if saved else 0
        norms = fused_norms if fused else nullcontext
        precision = autocast_dtype(recipe.precision, processes.device)
        if processes.leads:
            out.mkdir(parents=True, exist_ok=True)
            run.describe(
                out,
                recipe,
                species,
                train,
                validation,
                processes,
                precision,
                Path(weights_folder),
            )

        def save(step: int) -> None:
            nonlocal saved_at
            require_finite(model, step)
            processes.average_statistics(model)
            if processes.leads:
                state = Checkpoint(
                    step,
                    recipe.sha256(),
                    train.sha256(),
                    model.state_dict(),
                    optimiser.state_dict(),
                )
                save_checkpoint(state, out)
            saved_at = time.monotonic()

        def learned(step: int) -> Familiarity | None:
            """What its photos look like to the network once it has learned all."""
            if step < recipe.steps:
                return None
            return fit_familiarity(
                model,
                train,
                species=species,
                preprocessing=recipe.preprocessing,
                processes=processes,
                workers=workers,
            )

        def judge(step: int) -> None:
            familiarity = learned(step)
            scores = score_model(
                model,
                validation,
                species=species,
                preprocessing=recipe.preprocessing,
                processes=processes,
                workers=workers,
                familiarity=familiarity,
            )
            if processes.leads:
                if familiarity:
                    familiarity.write(out / FAMILIARITY)
                log.evaluation(step, evaluate(scores))
                scores.write(out / SCORES)
                for failure in scores.failures:
                    log.say(f"not judged: {failure.reason}")

        batches = Batches(
            recipe,
            train.photos(),
            train.truth(species),
            workers=workers,
            rank=processes.rank,
            processes=processes.count,
        )
        pieces = batches.pieces(first)
        log = RunLog(out if processes.leads else None, first, recipe.steps, quiet=quiet)
        with log:
            if first:
                log.say(f"going on from step {first:,}, as {out} says")
            saved_at = time.monotonic()
            for step in range(first, recipe.steps):
                model.train()
                for module in frozen:
                    module.eval()
                for group in optimiser.param_groups:
                    group["lr"] = recipe.learning_rate_at(step)
                optimiser.zero_grad(set_to_none=True)
                try:
                    with norms(model):
                        loss = accumulate(model, pieces, recipe, processes, precision, stop)
                except StepInterrupted as interruption:
                    save(step)  # what was learned so far is not lost with a photo either
                    raise interruption.photo or stop.stopped(step, recipe.steps, out) from None
                optimiser.step()
                log.step(
                    step,
                    loss=loss,
                    learning_rate=recipe.learning_rate_at(step),
                    photos=(step + 1 - first) * recipe.batch_photos,
                )
                done = step + 1
                if done % recipe.evaluate_every_steps == 0 or done == recipe.steps:
                    save(done)
                    judge(done)
                elif processes.any(here=time.monotonic() - saved_at > save_every_seconds):
                    save(done)
            if first == recipe.steps:
                judge(first)  # a finished run asked for again: its scores, should they be gone
    return out


def accumulate(
    model: nn.Module,
    pieces: Iterator[MicroBatch],
    recipe: Recipe,
    processes: Processes,
    precision: torch.dtype | None,
    stop: StopRequest | None = None,
) -> float:
    """Take the pieces of one optimiser step and leave the step's mean gradient in the model.

    The gradient equals that of one large batch (where the model treats photos one by one, as
    group norm does; batch norm sees each piece for itself).

    Returns:
        The step's mean loss.

    Raises:
        InputError: when the loss is no finite number; the weights are still those of before.
    """
    losses: list[torch.Tensor] = []
    step = 0
    with standardised_once(model), fast_group_norm(model):
        for _ in range(recipe.micro_batches // processes.count):
            piece = stop.next_of(pieces, processes) if stop else next(pieces)
            step = piece.step
            share = mixup_share(recipe, step)
            with _autocast(processes.device, precision):
                loss = piece_loss(model, piece, share, recipe, processes.device)
            (loss / recipe.micro_batches).backward()
            losses.append(loss.detach())
    processes.sum_gradients(model)
    mean = 0.0
    for one in torch.stack(losses).tolist():  # read once a step: a GPU waits for every reading
        mean += one / recipe.micro_batches
    mean = processes.total(mean)
    if not math.isfinite(mean):
        raise diverged(step, f"the loss is {mean}")
    return mean


def piece_loss(
    model: nn.Module, piece: MicroBatch, share: float, recipe: Recipe, device: torch.device
) -> torch.Tensor:
    """Mean cross-entropy of a mixed piece: each photo counts for both its species."""
    partners = on_device(mixup_partners(recipe, piece), device)
    truth = on_device(piece.truth, device)
    pixels = on_device(piece.pixels, device).contiguous(memory_format=torch.channels_last)
    logits = model(mix(pixels, share, partners))
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # out of bfloat16
    smoothing = recipe.label_smoothing
    loss = functional.cross_entropy(logits, truth, label_smoothing=smoothing)
    if share == 1:
        return loss
    other = functional.cross_entropy(logits, truth[partners], label_smoothing=smoothing)
    return share * loss + (1 - share) * other


def _begin(
    recipe: Recipe,
    species: SpeciesList,
    processes: Processes,
    weights_folder: Path,
    saved: Checkpoint | None,
) -> tuple[nn.Module, list[nn.Module], torch.optim.Optimizer]:
    """Model, what of it is frozen, and optimiser at their first step, or as they were saved."""
    if recipe.micro_batches % processes.count:
        raise InputError(
            f"{recipe.micro_batches} micro-batches cannot be shared evenly by {processes.count}"
            " processes; change micro_batch_photos or the number of processes"
        )
    torch.manual_seed(recipe.seed)  # the random start of what is not pretrained, and dropout
    model = create_model(
        recipe.backbone,
        species=len(species),
        weights="none" if saved else recipe.weights,
        weights_folder=weights_folder,
        head=recipe.head,
        dropout=recipe.dropout,
    )
    model = model.to(processes.device).to(memory_format=torch.channels_last)
    frozen = freeze(model, recipe.frozen_stages)
    optimiser = create_optimiser(recipe, [p for p in model.parameters() if p.requires_grad])
    if saved:
        model.load_state_dict(saved.model)
        optimiser.load_state_dict(saved.optimiser)
    return model, frozen, optimiser


def create_optimiser(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The recipe's optimiser; each step sets its rate."""
    decay = recipe.weight_decay
    if recipe.optimiser == "adamw":
        betas = (recipe.momentum, 0.999)
        return torch.optim.AdamW(parameters, lr=0.0, betas=betas, weight_decay=decay)
    return torch.optim.SGD(parameters, lr=0.0, momentum=recipe.momentum, weight_decay=decay)


def _autocast(
    device: torch.device, precision: torch.dtype | None
) -> torch.autocast | nullcontext[None]:
    return torch.autocast(device.type, precision) if precision else nullcontext()
