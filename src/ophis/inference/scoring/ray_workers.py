"""Scoring with Ray Data: workers on one machine or on a cluster, each scores whole parts."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from ophis.datasets.manifest import COLUMNS, Manifest
from ophis.errors import InputError, first_line, require_whole
from ophis.inference.classifier import load
from ophis.inference.scoring.parts import part_file
from ophis.inference.scoring.ray_cluster import LOCAL, cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pyarrow as pa

    from ophis.images.test_time_augmentation import Crop
    from ophis.inference.bundles.bundle import Bundle
    from ophis.inference.classifier import Classifier
    from ophis.inference.engine import EngineKind
    from ophis.inference.scoring.parts import ScoreParts

ATTEMPTS = ".attempts"
MAX_ATTEMPTS = 5
PART = "part"


@dataclass(frozen=True)
class WorkerSettings:
    """Settings of all workers.

    Attributes:
        bundle: folder of the bundle.
        version: version of the bundle.
        photos: folder of the photos.
        parts: folder of the parts.
        tta: crops of each photo.
        engine: runtime of the networks.
        threads: threads of a worker.
    """

    bundle: Path
    version: str
    photos: Path
    parts: Path
    tta: tuple[Crop, ...]
    engine: EngineKind | str
    threads: int


def score_with_ray(
    parts: ScoreParts,
    missing: Sequence[int],
    *,
    bundle: Bundle,
    tta: tuple[Crop, ...],
    engine: EngineKind | str,
    address: str = LOCAL,
    worker_cores: int = 1,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Score the missing parts with as many workers as the cluster has cores for.

    Ray replaces a worker that is killed and repeats its part.

    Args:
        parts: the parts, on a folder that all machines share.
        missing: numbers of the parts to score.
        bundle: the bundle; the same path on all machines.
        tta: crops of each photo.
        engine: runtime of the networks.
        address: "local", or the address of a cluster as `ray.init` takes it.
        worker_cores: processor cores of each worker.
        progress: called with the number of photos done since the last call.

    Raises:
        InputError: when there is no such cluster, when a worker cannot read bundle or photos, or
            when a part ends its worker repeatedly.
    """
    for number in missing:
        _attempts(parts.path(number)).unlink(missing_ok=True)  # counted per call
    settings = WorkerSettings(
        bundle=bundle.folder.resolve(),
        version=bundle.version,
        photos=parts.manifest.folder.resolve(),
        parts=parts.folder,
        tta=tta,
        engine=engine,
        threads=worker_cores,
    )
    with cluster(address):
        _map_parts(parts, missing, settings, progress)


class PartScorer:
    """A worker: loads the bundle once, then scores parts and writes each of them whole.

    An error of the worker's machine is part of its result, so that the caller raises it as one
    line. A killed worker has no result, and Ray repeats its part.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._classifier: Classifier | None = None
        self._error = ""
        try:
            self._classifier = _load(settings)
        except InputError as error:
            self._error = str(error)

    def __call__(self, table: pa.Table) -> dict[str, list[int] | list[str]]:
        """Score parts, given as rows of a manifest with the number of their part.

        Returns:
            For each part its number of photos, and the error or an empty text.
        """
        photos: list[int] = []
        errors: list[str] = []
        rows = pl.DataFrame(pl.from_arrow(table))
        for part in rows.partition_by(PART, maintain_order=True):
            error = self._score(part[PART][0], part.drop(PART))
            photos.append(len(part))
            errors.append(f"{error} (on machine {socket.gethostname()})" if error else "")
        return {"photos": photos, "error": errors}

    def _score(self, number: int, rows: pl.DataFrame) -> str:
        """Write the scores of a part; return the error or an empty text."""
        if self._classifier is None:
            return self._error
        settings = self._settings
        path = settings.parts / part_file(number)
        attempts = _attempts(path)
        try:
            with attempts.open("ab") as file:
                file.write(b".")
            if attempts.stat().st_size > MAX_ATTEMPTS:
                first = settings.photos / rows["photo"][0]
                return f"{first} or one of the {len(rows)} photos from there on ends every worker"
            scores = self._classifier.score(
                Manifest(rows, settings.photos), tta=settings.tta, workers=settings.threads
            )
            scores.write(path)
            attempts.unlink(missing_ok=True)
        except (InputError, OSError) as error:
            return str(error)
        return ""


def _attempts(part: Path) -> Path:
    """Return the file that holds one byte for each time a part was begun."""
    return part.with_suffix(ATTEMPTS)


def _load(settings: WorkerSettings) -> Classifier:
    """Load the bundle from the worker's machine."""
    if not settings.photos.is_dir():
        raise InputError(f"{settings.photos}: this machine has no such folder of photos; share it")
    classifier = load(settings.bundle, threads=settings.threads, engine=settings.engine)
    if classifier.bundle.version != settings.version:
        raise InputError(
            f"{settings.bundle}: another version ({classifier.bundle.version}); copy it again"
        )
    return classifier


def _map_parts(
    parts: ScoreParts,
    missing: Sequence[int],
    settings: WorkerSettings,
    progress: Callable[[int], None] | None,
) -> None:
    """Score parts with a pool of workers; one block of the dataset is one part and one call."""
    import ray.data
    from ray.exceptions import RayError

    workers = min(_free_workers(settings.threads), len(missing))
    table = parts.manifest.table.select(COLUMNS)
    blocks = [table[parts.rows(n)].with_columns(pl.lit(n).alias(PART)).to_arrow() for n in missing]
    results = ray.data.from_arrow(blocks).map_batches(
        PartScorer,
        fn_constructor_args=(settings,),
        compute=ray.data.ActorPoolStrategy(size=workers),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=settings.threads,
    )
    try:
        # An error waits for the other parts: Ray ends the process, with no message, when its
        # threads still run at the shutdown.
        errors = []
        for result in results.iter_rows():
            if result["error"]:
                errors.append(result["error"])
            elif progress:
                progress(result["photos"])
    except RayError as error:
        raise InputError(
            f"Ray gave up: {first_line(error)}; the same command continues with the missing parts"
        ) from None
    if errors:
        raise InputError(errors[0])


def _free_workers(worker_cores: int) -> int:
    """Return the number of workers that the machines of the cluster have cores for."""
    import ray

    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    require_whole("worker_cores", worker_cores, least=1)
    if not (workers := sum(count // worker_cores for count in cores)):
        raise InputError(
            f"{worker_cores} cores a worker: the machines have {', '.join(map(str, cores))} cores;"
            " give a number from 1 to that"
        )
    return workers
