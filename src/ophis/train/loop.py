"""Training loop of the paper: `fit`."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.evaluation.metrics import evaluate
from ophis.evaluation.run import SCORES
from ophis.files.atomic import require_writable
from ophis.files.folder_lock import locked_folder
from ophis.train import run_folder
from ophis.train.batches import Batches
from ophis.train.checkpoint import (
    SECONDS_BETWEEN_SAVES,
    Checkpoint,
    require_same_run,
    resume_checkpoint,
    save_checkpoint,
)
from ophis.train.gradient import accumulate, require_finite
from ophis.train.model_scores import final_scores, score_model
from ophis.train.networks.compilation import require_compiler
from ophis.train.out_of_distribution import FILE as OOD_MODEL_FILE
from ophis.train.photo_check import CHECKED, PhotoCheck, usable_photos
from ophis.train.processes import Processes, autocast_dtype
from ophis.train.run_folder import RunInputs
from ophis.train.run_log import Progress, RunLog, has_validation
from ophis.train.stop import StepInterrupted, StopRequest
from ophis.train.training_state import Execution, TrainingState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    import torch

    from ophis.datasets.manifest import Manifest
    from ophis.files.folder_lock import LockedFolder
    from ophis.recipe import Recipe
    from ophis.taxonomy.species_list import SpeciesList
    from ophis.train.batches import MicroBatch


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
    compile: bool = False,  # noqa: A002 - torch's word
    save_every_seconds: float = SECONDS_BETWEEN_SAVES,
    check_photos: bool = True,
    skip_bad: bool = False,
    checked: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fine-tune a model by a recipe, or resume the run in ``out``.

    Args:
        recipe: all that changes the weights.
        train: labelled photos to learn from.
        validation: other labelled photos, to evaluate on; one with the content of a training photo
            is refused.
        out: the run folder.
        species: the classes in order; by default those of the training photos.
        device: "auto", "cpu" or "cuda".
        workers: threads that read photos; by default one for each CPU core.
        weights_folder: folder of the recipe's weights file.
        compile: run the training steps through torch.compile; needs a CUDA device.
        save_every_seconds: seconds between checkpoints; 0 saves after every step.
        check_photos: decode every photo before the first step; else its file is only read, and a
            bad photo stops the run at the step that needs it.
        skip_bad: list bad photos in `skipped.csv` and leave them out, instead of refusing to begin.
        checked: file of the results of the photo check, which several runs may share; by default in
            the run folder.
        progress: receives steps and messages.

    Returns:
        The run folder.

    Raises:
        BadPhotosError: before the first step, with all photos that cannot be used.
        InputError: when the inputs do not fit together, a training photo's file changes, another
            process writes the run folder or it is moved, a checkpoint cannot be read or written, or
            loss or weights are not finite.
        Stopped: after Ctrl-C, SIGTERM or SIGHUP, when the state is saved.
    """
    out = Path(out)
    species = species or train.species_list()
    inputs = RunInputs(recipe, train, validation, species, Path(weights_folder))
    inputs.require_valid()
    require_writable(out / run_folder.RECIPE)
    workers = (os.cpu_count() or 1) if workers is None else workers
    execution = Execution(workers, save_every_seconds, compile=compile)
    with (
        Processes.from_environment(device) as processes,
        StopRequest(out, recipe.steps) as stop,
        locked_folder(out, writes=processes.leads) as locked,
    ):
        if compile:
            require_compiler(processes.device)
        progress = progress if progress and processes.leads else Progress()
        check = PhotoCheck(
            processes,
            execution.workers,
            decode=check_photos,
            checked=checked or out / CHECKED,
            learned=processes.gather(inputs.learned_before(out))[0],
            skip_bad=skip_bad,
            progress=progress,
        )
        Training.begin(inputs, locked, stop, execution, check).run()
    return out


@dataclass(eq=False, kw_only=True)
class Training:
    """A run in one of its processes; see `fit`.

    Attributes:
        inputs: recipe, photos and species.
        locked: the run folder.
        first: step at which the run begins or resumes.
        precision: of the convolutions; None is float32.
        log: of the run.
        saved_at: time of the last checkpoint, by `time.monotonic`.
    """

    inputs: RunInputs
    locked: LockedFolder
    processes: Processes
    stop: StopRequest
    execution: Execution
    state: TrainingState
    first: int
    precision: torch.dtype | None
    log: RunLog
    saved_at: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(
        cls,
        inputs: RunInputs,
        locked: LockedFolder,
        stop: StopRequest,
        execution: Execution,
        check: PhotoCheck,
    ) -> Self:
        """Create the state of the first step, or restore the saved one, and describe the run.

        The network is tried before the photos are checked, and both before a file is written; the
        results of the photo check alone are kept for the next call.
        """
        recipe, processes, progress = inputs.recipe, check.processes, check.progress
        out = locked.folder
        found = resume_checkpoint(out, processes)
        saved = found.checkpoint if found else None
        if saved:
            require_same_run(saved, recipe, None, out)
        state = TrainingState.begin(inputs, processes, saved, compiled=execution.compile)
        stop.saved_step = saved.step if saved else None
        inputs = usable_photos(inputs, out, check)
        inputs.require_valid()  # again: a species may have lost all its photos
        if found and saved:
            require_same_run(saved, recipe, inputs.train.sha256(), out)
            if other := run_folder.require_same_photos(out, inputs, check.learned):
                progress.message(other)
            progress.message(found.damage or f"going on from step {saved.step:,}, saved in {out}")
        precision = autocast_dtype(recipe.precision, processes.device)
        locked.require_in_place()
        if processes.leads:
            run_folder.describe(out, inputs, processes, precision, compiled=execution.compile)
        first = saved.step if saved else 0
        return cls(
            inputs=inputs,
            locked=locked,
            processes=processes,
            stop=stop,
            execution=execution,
            state=state,
            first=first,
            precision=precision,
            log=RunLog(out if processes.leads else None, first, recipe.steps, progress),
        )

    def run(self) -> None:
        """Train from the first step to the end of the run."""
        recipe = self.inputs.recipe
        with self.log, self.stop.deferred():
            if self._misses_validation():
                self._validate(self.first)
            batches = self._micro_batches()
            for step in range(self.first, recipe.steps):
                loss = self._step(step, batches)
                self.log.step(
                    step,
                    loss=loss,
                    learning_rate=recipe.learning_rate_at(step),
                    photos=(step + 1 - self.first) * recipe.batch_photos,
                )
                if self._validates_after(step + 1):
                    self._save(step + 1)
                    self._validate(step + 1)
                elif self.processes.any(here=self._is_time_to_save()):
                    self._save(step + 1)

    def _micro_batches(self) -> Iterator[MicroBatch]:
        train = self.inputs.train
        return Batches(
            self.inputs.recipe,
            train.photos(),
            train.truth(self.inputs.species),
            self.inputs.digests,
            workers=self.execution.workers,
            rank=self.processes.rank,
            processes=self.processes.count,
        ).micro_batches(self.first)

    def _step(self, step: int, batches: Iterator[MicroBatch]) -> float:
        """Take one optimiser step and return its loss.

        Raises:
            Stopped: when the state before the step is saved.
            PhotoError: likewise; for a photo that this process cannot read or that has changed.
        """
        state, recipe = self.state, self.inputs.recipe
        self.locked.require_in_place()
        state.begin_step(recipe.learning_rate_at(step))
        statistics = state.statistics()
        try:
            loss = accumulate(
                state.network, batches, recipe, self.processes, self.precision, self.stop
            )
        except StepInterrupted as interruption:
            state.restore_statistics(statistics)
            self._save(step)  # also for a bad photo: the steps before it are not lost
            raise interruption.photo or self.stop.stopped() from None
        state.optimiser.step()
        self.processes.average_statistics(state.model)
        return loss

    def _validates_after(self, steps: int) -> bool:
        recipe = self.inputs.recipe
        return steps % recipe.evaluate_every_steps == 0 or steps == recipe.steps

    def _misses_validation(self) -> bool:
        """Return whether to validate at once: stopped between save and validation, or finished."""
        if not self.first or not self._validates_after(self.first):
            return False
        logged = self.processes.leads and has_validation(self.locked.folder, self.first)
        return self.first == self.inputs.recipe.steps or not self.processes.any(here=logged)

    def _is_time_to_save(self) -> bool:
        return time.monotonic() - self.saved_at > self.execution.save_every_seconds

    def _save(self, step: int) -> None:
        model, optimiser = self.state.model, self.state.optimiser
        require_finite(model, optimiser, step)
        self.locked.require_in_place()
        if self.processes.leads:
            digests = self.inputs.recipe.sha256(), self.inputs.train.sha256()
            states = model.state_dict(), optimiser.state_dict()
            save_checkpoint(Checkpoint(step, *digests, *states), self.locked.folder)
        self.saved_at = time.monotonic()
        self.stop.saved_step = step

    def _validate(self, step: int) -> None:
        """Score the validation photos; a stop takes effect at once, since the state is saved."""
        inputs, processes, workers = self.inputs, self.processes, self.execution.workers
        with self.stop.immediate():
            if step == inputs.recipe.steps:
                scores, ood_model = final_scores(self.state.model, inputs, processes, workers)
            else:
                ood_model = None
                scores = score_model(
                    self.state.model,
                    inputs.validation,
                    species=inputs.species,
                    preprocessing=inputs.recipe.preprocessing,
                    processes=processes,
                    workers=workers,
                )
            self.locked.require_in_place()
            if processes.leads:
                if ood_model:
                    ood_model.write(self.locked.folder / OOD_MODEL_FILE)
                if changed := run_folder.changed_since(self.locked.folder / SCORES, scores):
                    self.log.message(changed)
                self.log.evaluation(step, evaluate(scores))
                scores.write(self.locked.folder / SCORES)
                for failure in scores.failures:
                    self.log.message(f"not scored: {failure.reason}")
