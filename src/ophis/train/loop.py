"""fit(): the training loop of the paper, readable from top to bottom."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.errors import InputError
from ophis.evaluation.metrics import evaluate
from ophis.evaluation.run import SCORES
from ophis.train import run_folder as run
from ophis.train.batches import Batches
from ophis.train.checkpoint import (
    SECONDS_BETWEEN_SAVES,
    Checkpoint,
    require_finite,
    require_same_run,
    save_checkpoint,
    take_up_checkpoint,
)
from ophis.train.evaluation import score_model
from ophis.train.gradient import accumulate
from ophis.train.learner import Learner
from ophis.train.networks.fused_norm import fused_norms, require_fused_norms
from ophis.train.out_of_distribution import FILE as FAMILIARITY
from ophis.train.out_of_distribution import fit_familiarity
from ophis.train.processes import Processes, autocast_dtype
from ophis.train.runlog import RunLog, is_judged
from ophis.train.stop import StepInterrupted, StopRequest
from ophis.train.usable_photos import CHECKED, Look, usable_photos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import torch
    from torch import nn

    from ophis.datasets.manifest import Manifest
    from ophis.recipe import Recipe
    from ophis.taxonomy.species_list import SpeciesList
    from ophis.train.batches import MicroBatch
    from ophis.train.out_of_distribution import Familiarity


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
    check_photos: bool = True,
    skip_bad: bool = False,
    checked: Path | None = None,
    quiet: bool = False,
) -> Path:
    """Fine-tune a model by a recipe; go on where an earlier call for ``out`` stopped.

    Args:
        recipe: the science.
        train: labelled photos to learn from.
        validation: labelled photos to judge by; none of them is learned from.
        out: the run folder: checkpoints, log, validation scores, all to repeat the run.
        species: the classes in order; by default those of the training photos.
        device: "auto", "cpu", "cuda".
        workers: threads that read photos; by default one a processor core.
        weights_folder: where the recipe's weights file lies.
        fused: train with group norm and ReLU as one kernel, on a GPU; see `fused_norm`.
        save_every_seconds: so much of the work is lost, at the most, with a process that is
            killed; 0 saves after every step.
        check_photos: decode every photo once before the first step; else only see that it is
            there, and let a bad one stop the run at the step that meets it.
        skip_bad: leave out the photos that cannot be used, and name them in `skipped.csv`, instead
            of refusing to begin.
        checked: the file that notes which photos were decoded; by default in the run folder. Runs
            of the same photos may share one.
        quiet: show nothing while it runs.

    Returns:
        The run folder.

    Raises:
        BadPhotosError: before the first step, with all photos that cannot be used.
        InputError: when recipe, photos, weights and folder do not fit together, no whole
            checkpoint can be read or written, or the numbers ran away.
        Stopped: after Ctrl-C or SIGTERM, when the state has been saved.
    """
    out = Path(out)
    species = species or train.species_list()
    run.require_fit(recipe, train, validation, species)
    if not save_every_seconds >= 0:
        raise InputError(f"--save-every {save_every_seconds} should be 0 seconds or more")
    with (
        Processes.from_environment(device) as processes,
        StopRequest(out, recipe.steps) as stop,
    ):
        if fused:
            require_fused_norms(processes.device)
        workers = workers or os.cpu_count() or 1
        noted = checked or out / CHECKED
        look = Look(processes, workers, decode=check_photos, noted=noted, quiet=quiet)
        train, validation = usable_photos(train, validation, out, look=look, skip_bad=skip_bad)
        run.require_fit(recipe, train, validation, species)  # what was skipped may be a species
        learner, first, line = _take_up(
            recipe, train.sha256(), species, processes, out, Path(weights_folder)
        )
        stop.saved_step = first
        precision = autocast_dtype(recipe.precision, processes.device)
        if processes.leads:
            run.describe(
                out, recipe, species, train, validation, processes, precision, Path(weights_folder)
            )
        Training(
            recipe=recipe,
            train=train,
            validation=validation,
            species=species,
            out=out,
            workers=workers,
            processes=processes,
            stop=stop,
            learner=learner,
            precision=precision,
            norms=fused_norms if fused else nullcontext,
            log=RunLog(out if processes.leads else None, first or 0, recipe.steps, quiet=quiet),
            save_every_seconds=save_every_seconds,
        ).go_on(first or 0, line)
    return out


def _take_up(
    recipe: Recipe,
    train_sha256: str,
    species: SpeciesList,
    processes: Processes,
    out: Path,
    weights_folder: Path,
) -> tuple[Learner, int | None, str | None]:
    """Who learns; from which step on, None for a new run; and what to say of that."""
    found = take_up_checkpoint(out, processes)
    if found is None:
        return Learner.begin(recipe, species, processes, weights_folder, None), None, None
    saved = found.checkpoint
    require_same_run(saved, recipe, train_sha256, out)
    learner = Learner.begin(recipe, species, processes, weights_folder, saved)
    return learner, saved.step, found.damage or f"going on from step {saved.step:,}, as {out} says"


@dataclass(eq=False, kw_only=True)
class Training:
    """A run under way, in one of its processes. See `fit` for what is not said here.

    Attributes:
        stop: whether somebody asked to stop.
        learner: network and optimiser.
        precision: of the convolutions; None is float32.
        norms: within which the model computes its group norms.
        log: what a run says.
        saved_at: seconds by `time.monotonic`.
    """

    recipe: Recipe
    train: Manifest
    validation: Manifest
    species: SpeciesList
    out: Path
    workers: int
    processes: Processes
    stop: StopRequest
    learner: Learner
    precision: torch.dtype | None
    norms: Callable[[nn.Module], AbstractContextManager[object]]
    log: RunLog
    save_every_seconds: float
    saved_at: float = field(default_factory=time.monotonic)

    def go_on(self, first: int, line: str | None) -> None:
        """From a step to the end of the run, having said a line."""
        with self.log, self.stop.held():
            if line:
                self.log.say(line)
            if self._is_to_be_judged_again(first):
                self._judge(first)
            pieces = self._pieces(first)
            for step in range(first, self.recipe.steps):
                loss = self._step(step, pieces)
                self.log.step(
                    step,
                    loss=loss,
                    learning_rate=self.recipe.learning_rate_at(step),
                    photos=(step + 1 - first) * self.recipe.batch_photos,
                )
                if self._is_judged_after(step + 1):
                    self._save(step + 1)
                    self._judge(step + 1)
                elif self.processes.any(here=self._is_time_to_save()):
                    self._save(step + 1)

    def _pieces(self, first: int) -> Iterator[MicroBatch]:
        return Batches(
            self.recipe,
            self.train.photos(),
            self.train.truth(self.species),
            workers=self.workers,
            rank=self.processes.rank,
            processes=self.processes.count,
        ).pieces(first)

    def _step(self, step: int, pieces: Iterator[MicroBatch]) -> float:
        """One optimiser step; its loss.

        Raises:
            Stopped: when the state of before the step is saved.
            PhotoError: the same; of a photo that this process could not read.
        """
        model = self.learner.model
        self.learner.begin_step(self.recipe.learning_rate_at(step))
        statistics = self.learner.statistics()
        try:
            with self.norms(model):
                loss = accumulate(
                    model, pieces, self.recipe, self.processes, self.precision, self.stop
                )
        except StepInterrupted as interruption:
            self.learner.restore_statistics(statistics)
            self._save(step)  # what was learned so far is not lost with a photo either
            raise interruption.photo or self.stop.stopped() from None
        self.learner.optimiser.step()
        self.processes.average_statistics(model)
        return loss

    def _is_judged_after(self, steps: int) -> bool:
        return steps % self.recipe.evaluate_every_steps == 0 or steps == self.recipe.steps

    def _is_to_be_judged_again(self, first: int) -> bool:
        """Whether a stop came between the saving and the judging; and a run that is done."""
        if not first or not self._is_judged_after(first):
            return False
        judged = self.processes.leads and is_judged(self.out, first)
        return first == self.recipe.steps or not self.processes.any(here=judged)

    def _is_time_to_save(self) -> bool:
        return time.monotonic() - self.saved_at > self.save_every_seconds

    def _save(self, step: int) -> None:
        learner = self.learner
        require_finite(learner.model, learner.optimiser, step)
        if self.processes.leads:
            state = Checkpoint(
                step,
                self.recipe.sha256(),
                self.train.sha256(),
                learner.model.state_dict(),
                learner.optimiser.state_dict(),
            )
            save_checkpoint(state, self.out)
        self.saved_at = time.monotonic()
        self.stop.saved_step = step

    def _judge(self, step: int) -> None:
        """Score the validation photos; the state is saved, so a stop is obeyed at once."""
        with self.stop.at_once():
            familiarity = self._familiarity() if step == self.recipe.steps else None
            scores = score_model(
                self.learner.model,
                self.validation,
                species=self.species,
                preprocessing=self.recipe.preprocessing,
                processes=self.processes,
                workers=self.workers,
                familiarity=familiarity,
            )
            if self.processes.leads:
                if familiarity:
                    familiarity.write(self.out / FAMILIARITY)
                self.log.evaluation(step, evaluate(scores))
                scores.write(self.out / SCORES)
                for failure in scores.failures:
                    self.log.say(f"not judged: {failure.reason}")

    def _familiarity(self) -> Familiarity:
        """What its photos look like to the network once it has learned all."""
        return fit_familiarity(
            self.learner.model,
            self.train,
            species=self.species,
            preprocessing=self.recipe.preprocessing,
            processes=self.processes,
            workers=self.workers,
        )
