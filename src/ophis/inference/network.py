"""Network of a bundle: an ONNX file that maps photos to logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ophis.errors import InputError, first_line
from ophis.files.content import content_of
from ophis.geography.countries import UNKNOWN
from ophis.images.preprocessing import normalise
from ophis.images.test_time_augmentation import NO_TTA, mean_over_crops
from ophis.inference.batches import score_batches
from ophis.inference.engine import EngineKind, open_engine
from ophis.inference.evidence import OUTPUTS as EVIDENCE
from ophis.inference.evidence import evidence_of
from ophis.scores.scores import Scores, joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ophis.datasets.manifest import Manifest
    from ophis.images.test_time_augmentation import Crop
    from ophis.inference.bundles.bundle import Member
    from ophis.inference.evidence import Evidence
    from ophis.inference.photo import Pixels
    from ophis.taxonomy.species_list import SpeciesList


# Batches of 16 take as long a photo for BiT-R50x1 at 456 pixels, and four times the memory.
BATCH_PHOTOS = 2


class Network:
    """A network of a bundle.

    Args:
        member: the file, its species and preprocessing.
        species: columns of the scores; the species of the member in any order.
        threads: threads of the engine; 0 lets it choose.
        engine: runtime of the network.

    Raises:
        InputError: naming the file when it cannot be run or does not fit its species and pixels,
            or when the engine is not available.
    """

    def __init__(
        self,
        member: Member,
        species: SpeciesList,
        *,
        threads: int = 0,
        engine: EngineKind | str = EngineKind.ONNXRUNTIME,
    ) -> None:
        self.member, self.species = member, species
        try:
            self._engine = open_engine(engine, member.model, threads=threads)
        except InputError:
            raise
        except Exception as error:  # neither engine has a base class of its own
            reason = first_line(error)
            raise InputError(f"{member.model}: not a model that can be run: {reason}") from None
        self._require_shape()
        self._plain = [name for name in self._engine.outputs if name not in EVIDENCE]

    def outputs(
        self, pixels: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Run the network without calibration.

        Args:
            pixels: [photos, 3, pixels, pixels].

        Returns:
            Logits [photos, species], and ood_score [photos] or None: see `Scores`.
        """
        found = self._run(pixels, self._plain)
        return found["logits"], found.get("ood_score")

    def scores_and_evidence(
        self,
        photos: Sequence[Pixels],
        names: Sequence[str],
        tta: tuple[Crop, ...],
        *,
        evidence: bool = False,
    ) -> tuple[Scores, tuple[tuple[Evidence, ...], ...]]:
        """Score photos without truth, country or observation, one after the other.

        Args:
            photos: their crops, resized for this network.
            names: names of the rows.
            tta: crops of each photo.
            evidence: compute the evidence maps.

        Returns:
            Scores, and for each photo the evidence maps of its first crop for the most probable
            species of the image alone; empty when the network has none.
        """
        wanted, images = None if evidence else self._plain, self.member.preprocessing
        seen = [
            self._run(normalise(photo.resized[images.pixels], images), wanted) for photo in photos
        ]
        logits = np.concatenate([mean_over_crops(found["logits"], len(tta)) for found in seen])
        ood_score = [
            mean_over_crops(found["ood_score"], len(tta)) if "ood_score" in found else None
            for found in seen
        ]
        scores = Scores(
            logits=logits,
            species=self.member.species,
            photo_ids=tuple(names),
            truth=np.full(len(names), -1),
            countries=(UNKNOWN,) * len(names),
            observations=tuple(names),
            ood_score=joined(ood_score),
        )
        return self._calibrated(scores), tuple(map(self._evidence, seen))

    def _run(
        self, pixels: NDArray[np.float32], wanted: Sequence[str] | None
    ) -> dict[str, NDArray[Any]]:
        """Run the engine; a network of other types or shapes is an `InputError`."""
        with content_of(self.member.model, "not a model that can be run"):
            found = self._engine.run(pixels, wanted)
            for name in self._plain:
                if found[name].dtype != np.float32 or len(found[name]) != len(pixels):
                    raise InputError(f"should give `{name}` as float32, a row a photo")
            return found

    def _evidence(self, found: dict[str, NDArray[Any]]) -> tuple[Evidence, ...]:
        if not set(EVIDENCE) <= found.keys():
            return ()
        maps, columns = (np.asarray(found[name])[0] for name in EVIDENCE)
        whole = maps.ndim == 3 and maps.size > 0 and np.isfinite(maps).all()
        known = np.isin(columns, range(len(self.member.species))).all()
        if not (whole and known and columns.shape == maps.shape[:1]):
            raise InputError(
                f"{self.member.model}: its evidence maps are damaged, or of species that it lacks;"
                " export the bundle again, or leave out the evidence"
            )
        return evidence_of(maps, columns, self.member.species)

    def batches(
        self,
        manifest: Manifest,
        *,
        tta: tuple[Crop, ...] = NO_TTA,
        workers: int | None = None,
    ) -> Iterator[Scores]:
        """Score the photos of a manifest batch by batch: see `batches.score_batches`."""
        for part in score_batches(
            self.outputs,
            manifest,
            species=self.member.species,
            preprocessing=self.member.preprocessing,
            tta=tta,
            workers=workers,
            batch_photos=BATCH_PHOTOS,
        ):
            yield self._calibrated(part)

    def _calibrated(self, scores: Scores) -> Scores:
        """Apply the member's own calibration, if any, and order the columns as `species`."""
        calibration = self.member.calibration
        calibrated = calibration.apply(scores) if calibration else scores
        return calibrated.with_species(self.species)

    def _require_shape(self) -> None:
        inputs, outputs = self._engine.inputs, self._engine.outputs
        model, side = self.member.model, self.member.preprocessing.pixels
        species = len(self.member.species)
        if len(inputs) != 1 or inputs[0][1:] != [3, side, side]:
            raise InputError(f"{model}: should take [photos, 3, {side}, {side}]")
        if outputs.get("logits", [None])[1:] != [species]:
            raise InputError(f"{model}: should give `logits`, {species} numbers a photo")
        wrong = [name for name in outputs if name not in ("logits", "ood_score", *EVIDENCE)]
        if wrong or len(outputs.get("ood_score", [None])) != 1:
            raise InputError(
                f"{model}: besides logits only one number a photo is allowed, its `ood_score`, and"
                f" `{'` and `'.join(EVIDENCE)}`"
            )
