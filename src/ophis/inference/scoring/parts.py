"""Parts of a scores file: each holds the scores of some photos and is written whole."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.datasets.training_photos import changed_photos, content_digests
from ophis.errors import InputError
from ophis.files.atomic import require_writable, whole_file
from ophis.files.blocks import mapped
from ophis.files.content import content_of, read_json
from ophis.files.folder_lock import locked_folder
from ophis.inference.batches import row_texts
from ophis.scores.scores import Scores, joined, read_scores
from ophis.taxonomy.species_list import require_same_species

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from typing import Self

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.errors import PhotoFailure
    from ophis.files.folder_lock import LockedFolder
    from ophis.images.test_time_augmentation import Crop
    from ophis.inference.bundles.bundle import Bundle
    from ophis.taxonomy.species_list import SpeciesList

PART_PHOTOS = 64  # a killed process loses the work of one part
INDEX, LOGITS = "parts.json", "logits"


@dataclass(frozen=True)
class ScoreParts:
    """The parts of a manifest's scores, in a folder beside the scores file.

    Attributes:
        locked: ``OUT.parts``.
        manifest: the photos.
        photos: photos of each part; the last part may have fewer.
    """

    locked: LockedFolder
    manifest: Manifest
    photos: int

    @classmethod
    @contextmanager
    def open(
        cls,
        out: str | Path,
        manifest: Manifest,
        *,
        bundle: Bundle,
        tta: tuple[Crop, ...],
        engine: str,
        photos: int = PART_PHOTOS,
    ) -> Generator[Self]:
        """Create the folder beside ``out``, or open what an earlier run left there, and lock it.

        On leaving, a folder without a single part is removed.

        Raises:
            InputError: when the folder holds parts of other photos or another model, which may be
                hours of work, when it is in use by another process, or ``out`` cannot be written.
        """
        if photos < 2 or photos % 2:
            raise InputError(f"part_photos = {photos} should be an even number from 2")
        out = Path(out).resolve()
        require_writable(out)
        folder = out.with_name(f"{out.name}.parts")
        facts = {
            "bundle": bundle.version,
            "manifest": manifest.sha256(),
            "test-time augmentation": [asdict(crop) for crop in tta],
            "engine": str(engine),
            "photos": photos,
        }
        with locked_folder(folder) as locked:
            parts = cls(locked, manifest, photos)
            try:
                parts._require_same(facts)
                parts._require_same_photos()
                yield parts
            finally:
                if locked.in_place() and not parts._any():
                    shutil.rmtree(parts.folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        """Path of the folder."""
        return self.locked.folder

    def __len__(self) -> int:
        return math.ceil(len(self.manifest) / self.photos)

    def path(self, number: int) -> Path:
        """Return the file of a part's scores."""
        return self.folder / part_file(number)

    def rows(self, number: int) -> NDArray[np.int64]:
        """Return the rows of the manifest that a part holds."""
        first = number * self.photos
        return np.arange(first, min(first + self.photos, len(self.manifest)))

    def missing(self) -> list[int]:
        """Return the parts without a file."""
        return [number for number in range(len(self)) if not self.path(number).exists()]

    def _require_same_photos(self) -> None:
        """Compare the photos that are scored with the files they were scored from, if still there.

        Raises:
            InputError: naming a photo that has changed.
        """
        for number in sorted({*range(len(self))} - {*self.missing()}):
            scores = read_scores(self.path(number))
            photos = self.manifest.take(self.rows(number))
            now = dict(zip(photos.table["photo_id"], content_digests(photos).tolist(), strict=True))
            if changed := changed_photos(scores.photo_ids, scores.sha256, now):
                raise InputError(
                    f"photo {changed[0]!r} has changed since it was scored in {self.path(number)};"
                    " remove this part to score its photos again, or put the photo back"
                )

    def _any(self) -> bool:
        """Return whether the folder holds the scores of a single photo."""
        return any(self.folder.glob("part-*.npz"))

    def joined(self, species: SpeciesList) -> Scores:
        """Return all parts as one, with rows in the manifest's order.

        The logits are copied to a file of the folder and stay there.

        Raises:
            InputError: naming the part that is missing, damaged, of other species, or does not
                hold each of its photos exactly once, as a row or as a failure.
        """
        failures: list[PhotoFailure] = []
        kept = np.ones(len(self.manifest), np.bool_)
        ood_score: list[NDArray[Any] | None] = []
        sha256: list[NDArray[Any] | None] = []
        dtype = np.dtype(np.float32)
        with (self.folder / LOGITS).open("wb") as file:
            for number in range(len(self)):
                part, kept[self.rows(number)] = self._checked(number, species)
                dtype = part.logits.dtype if len(part) else dtype
                file.write(part.logits.tobytes())
                failures += part.failures
                if len(part):
                    ood_score.append(part.ood_score)
                    sha256.append(part.sha256)
        found = np.flatnonzero(kept)
        return Scores(
            logits=mapped(self.folder / LOGITS, dtype, shape=(len(found), len(species))),
            species=species,
            truth=self.manifest.truth(species)[found],
            failures=tuple(failures),
            ood_score=joined(ood_score),
            sha256=joined(sha256),
            **row_texts(self.manifest, found),
        )

    def remove(self) -> None:
        """Remove the folder; the index first, because parts without one are never used."""
        (self.folder / INDEX).unlink()
        shutil.rmtree(self.folder)

    def _checked(self, number: int, species: SpeciesList) -> tuple[Scores, list[bool]]:
        """Return a part, and for each of its photos whether it could be read."""
        path = self.path(number)
        if not path.exists():
            raise InputError(
                f"{path}: was scored but is not here; write the scores to a folder that all"
                " machines share"
            )
        scores = read_scores(path)
        require_same_species(
            species,
            scores.species,
            names=("the bundle", str(path)),
            fix="remove the part and score again",
        )
        unread = {failure.photo_id for failure in scores.failures}
        wanted = self.manifest.table["photo_id"].gather(self.rows(number)).to_list()
        read = [photo for photo in wanted if photo not in unread]
        if list(scores.photo_ids) != read or len(read) + len(scores.failures) != len(wanted):
            raise InputError(
                f"{path}: should hold {len(wanted)} photos, each once; remove it and score again"
            )
        return scores, [photo not in unread for photo in wanted]

    def _require_same(self, facts: Mapping[str, object]) -> None:
        """Write the facts that the scores depend on, or compare them with those of the folder."""
        index = self.folder / INDEX
        if not (index.exists() and self._any()):  # nothing to lose
            for left in self.folder.glob("part-*"):  # of a file that was finished
                left.unlink()
            with whole_file(index) as temporary:
                temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
            return
        again = f"remove {self.folder} to score from the beginning"
        with content_of(index, "damaged", fix=again):
            found = dict(read_json(index, "index", fix=again))
        if other := [name for name, fact in facts.items() if found.get(name) != fact]:
            raise InputError(
                f"{self.folder}: holds parts with another {' and '.join(other)}; finish them with"
                " the command that began them, remove the folder to score from the beginning, or"
                " write the scores elsewhere"
            )


def part_file(number: int) -> str:
    """Return the name of a part's file in the folder."""
    return f"part-{number:06}.npz"
