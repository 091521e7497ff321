"""Many photos scored by many workers, on one machine or on several, through Ray Data."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl

from ophis.datasets.manifest import COLUMNS, Manifest
from ophis.errors import InputError
from ophis.inference.classifier import load
from ophis.inference.engine import EngineKind
from ophis.inference.scoring.parts import PHOTOS, ScoreParts, part_file

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import pyarrow as pa

    from ophis.images.test_time_augmentation import Crop
    from ophis.inference.bundles.bundle import Bundle
    from ophis.inference.classifier import Classifier
    from ophis.scores.scores import Scores

LOCAL = "local"
# Only the manifest's rows pass through Ray's object store, about 100 bytes a photo.
STORE_BYTES = 256 * 2**20
ATTEMPTS = ".attempts"
MOST_ATTEMPTS = 5
PART = "part"


def score_with_ray(
    bundle: Bundle,
    manifest: Manifest,
    *,
    out: Path,
    address: str = LOCAL,
    worker_cores: int = 1,
    tta: tuple[Crop, ...] | None = None,
    engine: EngineKind | str = EngineKind.ONNXRUNTIME,
    part_photos: int = PHOTOS,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Score every photo of a manifest, in parts, and write the scores to ``out``.

    The parts lie in ``OUT.parts`` until all are there: a worker that is killed is replaced and its
    part repeated, and the same call after a stop scores the missing parts only. The scores are
    those of `Classifier.score`, row by row.

    Args:
        bundle: what `read_bundle` verified. Its folder, the photos and ``out`` have to be seen
            under the same paths by all machines.
        manifest: the photos.
        out: the scores file.
        address: "local": workers on this machine only; otherwise what `ray.init` calls the address
            of a cluster: "auto" where this machine belongs to one.
        worker_cores: processor cores, and so threads, of each worker.
        tta: crops of each photo; by default those of the bundle.
        engine: what runs the networks: see `EngineKind`.
        part_photos: photos of a part.
        progress: called with the number of photos done since the last call.

    Raises:
        InputError: when there is no such cluster, when a worker does not see bundle or photos, when
            a part ends its worker again and again, or when a photo has not exactly one outcome.
    """
    tta = tta or bundle.tta
    manifest.truth(bundle.species)  # an unknown species is refused before anything starts
    parts = ScoreParts.beside(
        out, manifest, bundle=bundle, tta=tta, engine=engine, photos=part_photos
    )
    missing = parts.missing()
    if progress:
        progress(len(manifest) - sum(len(parts.rows(number)) for number in missing))
    if missing:
        with _cluster(address):
            _score(
                parts,
                missing,
                bundle=bundle,
                tta=tta,
                engine=engine,
                worker_cores=worker_cores,
                progress=progress,
            )
    scores = parts.joined()
    scores.write(out)
    parts.remove()
    return scores


class PartScorer:
    """A worker: holds the networks of a bundle, scores parts, writes each whole or not at all.

    What is wrong with its machine it says in its answers, so that it reaches whoever asked as one
    line; whoever kills it gets the part repeated by another one.
    """

    def __init__(
        self,
        *,
        bundle: Path,
        version: str,
        photos: Path,
        folder: Path,
        tta: tuple[Crop, ...],
        engine: EngineKind | str,
        threads: int,
    ) -> None:
        self._photos, self._folder = photos, folder
        self._tta, self._threads = tta, threads
        self._classifier: Classifier | str = "no classifier"
        try:
            self._classifier = _loaded(bundle, version, photos, threads, engine)
        except InputError as error:
            self._classifier = str(error)

    def __call__(self, table: pa.Table) -> dict[str, list[int] | list[str]]:
        """Score whole parts, given as rows of a manifest with their part's number.

        Returns:
            Of each part how many photos are done, and what keeps this worker from it, or nothing.
        """
        photos: list[int] = []
        refusals: list[str] = []
        rows = pl.DataFrame(pl.from_arrow(table))
        for part in rows.partition_by(PART, maintain_order=True):
            refusal = self._score(part[PART][0], part.drop(PART))
            photos.append(len(part))
            refusals.append(f"{refusal} (on machine {socket.gethostname()})" if refusal else "")
        return {"photos": photos, "refusal": refusals}

    def _score(self, number: int, rows: pl.DataFrame) -> str:
        """Write the scores of a part, or say what keeps from it."""
        if isinstance(self._classifier, str):
            return self._classifier
        path = self._folder / part_file(number)
        attempts = path.with_suffix(ATTEMPTS)
        try:
            with attempts.open("ab") as file:
                file.write(b".")
            if attempts.stat().st_size > MOST_ATTEMPTS:
                first = self._photos / rows["photo"][0]
                return f"{first} or one of the {len(rows)} from there on ends every worker"
            manifest = Manifest(rows, self._photos)
            scores = self._classifier.score(manifest, tta=self._tta, workers=self._threads)
            scores.write(path)
            attempts.unlink(missing_ok=True)
        except (InputError, OSError) as error:
            return str(error)
        return ""


def _loaded(
    bundle: Path, version: str, photos: Path, threads: int, engine: EngineKind | str
) -> Classifier:
    """The bundle as this machine sees it."""
    if not photos.is_dir():
        raise InputError(f"{photos}: the folder of the photos is not there; share it")
    classifier = load(bundle, threads=threads, engine=engine)
    if classifier.bundle.version != version:
        raise InputError(f"{bundle}: another version ({classifier.bundle.version}); copy it anew")
    return classifier


def _score(
    parts: ScoreParts,
    missing: list[int],
    *,
    bundle: Bundle,
    tta: tuple[Crop, ...],
    engine: EngineKind | str,
    worker_cores: int,
    progress: Callable[[int], None] | None,
) -> None:
    """Have the missing parts scored by as many workers as the cluster has room for."""
    import ray.data
    from ray.exceptions import RayError

    size = min(_room(worker_cores), len(missing))
    for number in missing:  # this call begins to count anew
        parts.path(number).with_suffix(ATTEMPTS).unlink(missing_ok=True)
    blocks = [
        parts.rows(n).table.select(COLUMNS).with_columns(pl.lit(n).alias(PART)).to_arrow()
        for n in missing
    ]
    # One block is one part and one call. Ray replaces a worker that dies and repeats its calls.
    answers = ray.data.from_arrow(blocks).map_batches(
        PartScorer,
        fn_constructor_kwargs={
            "bundle": bundle.folder.resolve(),
            "version": bundle.version,
            "photos": parts.manifest.folder.resolve(),
            "folder": parts.folder,
            "tta": tta,
            "engine": engine,
            "threads": worker_cores,
        },
        compute=ray.data.ActorPoolStrategy(size=size),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=worker_cores,
    )
    try:
        for answer in answers.iter_rows():
            if answer["refusal"]:
                raise InputError(answer["refusal"])
            if progress:
                progress(answer["photos"])
    except RayError as error:
        raise InputError(
            f"Ray gave up: {_first_line(error)}; the same command goes on with the missing parts"
        ) from None


def _room(worker_cores: int) -> int:
    """How many workers find room on the machines of the cluster."""
    import ray

    cores = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    if worker_cores < 1 or not (room := sum(have // worker_cores for have in cores)):
        raise InputError(
            f"--worker-cores {worker_cores}: the machines have {', '.join(map(str, cores))} cores"
        )
    return room


@contextmanager
def _cluster(address: str) -> Generator[None]:
    """Connect to a cluster, or start one of this machine alone; leave it at the end."""
    options: dict[str, Any] = {}
    if address == LOCAL:
        # Nothing leaves the machine: no statistics of use, no page, and no port but on the
        # loopback, which is what the second variable says; Ray reads it when it is imported.
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
        options = {
            "num_cpus": os.cpu_count(),
            "object_store_memory": STORE_BYTES,
            "include_dashboard": False,
        }
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"--ray {address}: no such cluster: {_first_line(error)}") from None
    except Exception as error:
        # Ray has no class of its own for a process that is late on a busy machine.
        raise InputError(
            f"--ray {address}: Ray did not start: {_first_line(error)}; try the same command again"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
