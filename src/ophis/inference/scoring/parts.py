"""Scores in parts: files beside the scores to be made, each written once, put together checked."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from ophis.errors import InputError
from ophis.files.atomic import whole_file
from ophis.scores.scores import Scores, concatenate, read_scores

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from ophis.datasets.manifest import Manifest
    from ophis.images.test_time_augmentation import Crop
    from ophis.inference.bundles.bundle import Bundle

PHOTOS = 256
INDEX = "parts.json"


@dataclass(frozen=True)
class ScoreParts:
    """The rows of a manifest in parts of so many photos, and a folder for the scores of each.

    Attributes:
        folder: ``OUT.parts``.
        manifest: the photos.
        photos: of each part; the last one may have fewer.
    """

    folder: Path
    manifest: Manifest
    photos: int

    @classmethod
    def beside(
        cls,
        out: Path,
        manifest: Manifest,
        *,
        bundle: Bundle,
        tta: tuple[Crop, ...],
        engine: str,
        photos: int = PHOTOS,
    ) -> Self:
        """Make the folder beside ``out``, or find what an earlier call for it left there.

        Raises:
            InputError: when that was made with another bundle, manifest, augmentation or engine.
        """
        parts = cls(out.resolve().with_name(f"{out.name}.parts"), manifest, photos)
        made_of = {
            "bundle": bundle.version,
            "manifest": manifest.sha256(),
            "test-time augmentation": [asdict(crop) for crop in tta],
            "engine": str(engine),
            "photos": photos,
        }
        index = parts.folder / INDEX
        if not index.exists():
            with whole_file(index) as temporary:
                temporary.write_text(json.dumps(made_of, indent=2) + "\n", encoding="utf-8")
        elif (found := _read(index)) != made_of:
            differ = [name for name, value in made_of.items() if found.get(name) != value]
            raise InputError(
                f"{parts.folder} holds parts made with other {' and '.join(differ)}; remove it, or"
                " choose another --out"
            )
        return parts

    def __len__(self) -> int:
        return math.ceil(len(self.manifest) / self.photos)

    def path(self, number: int) -> Path:
        """The file of a part's scores."""
        return self.folder / part_file(number)

    def rows(self, number: int) -> Manifest:
        """The photos of a part."""
        first = number * self.photos
        return self.manifest.take(np.arange(first, min(first + self.photos, len(self.manifest))))

    def missing(self) -> list[int]:
        """The parts that nobody has scored yet."""
        return [number for number in range(len(self)) if not self.path(number).exists()]

    def joined(self) -> Scores:
        """All parts as one, rows in the manifest's order.

        Raises:
            InputError: naming the part that is missing, damaged, or does not hold each of its
                photos exactly once, with a row or as a failure.
        """
        return concatenate([self._checked(number) for number in range(len(self))])

    def remove(self) -> None:
        """Remove the folder, once all is in one file."""
        shutil.rmtree(self.folder)

    def _checked(self, number: int) -> Scores:
        path = self.path(number)
        if not path.exists():
            raise InputError(
                f"{path}: scored, but not here; choose --out where all machines see the same files"
            )
        scores = read_scores(path)
        unread = [failure.photo_id for failure in scores.failures]
        wanted = self.rows(number).table["photo_id"].to_list()
        read = [photo for photo in wanted if photo not in set(unread)]
        if list(scores.photo_ids) != read or sorted([*read, *unread]) != sorted(wanted):
            raise InputError(
                f"{path}: should hold {len(wanted)} photos, each once; remove it and call again"
            )
        return scores


def part_file(number: int) -> str:
    """The name of a part's file in the folder."""
    return f"part-{number:06}.npz"


def _read(index: Path) -> dict[str, object]:
    try:
        return dict(json.loads(index.read_text(encoding="utf-8")))
    except ValueError:
        raise InputError(f"{index.parent}: {INDEX} is damaged; remove the folder") from None
