"""One ONNX file of a bundle, ready to run: photos to logits, no torch, no network of computers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ophis.batch import score_batches, score_photos
from ophis.engine import EngineKind, open_engine
from ophis.errors import InputError
from ophis.places import UNKNOWN
from ophis.scores import Scores, joined
from ophis.views import WHOLE, mean_of_views, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from ophis.bundle import Member
    from ophis.manifest import Manifest
    from ophis.taxa import SpeciesList
    from ophis.views import View


# With 16 at a time a BiT-R50x1 at 456 pixels takes no less time a photo, and four times the memory.
BATCH_PHOTOS = 2


class Network:
    """A network of a bundle.

    Args:
        member: the file and what belongs to it.
        species: the columns wanted; those of the member in any order.
        threads: of the engine; 0 lets it choose.
        engine: what runs it.

    Raises:
        InputError: naming the file when it cannot be run or does not fit its species and pixels,
            or when the engine is not to be had.
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
            reason = str(error).splitlines()[0]
            raise InputError(f"{member.model}: not a model that can be run: {reason}") from None
        self._require_shape()

    def outputs(
        self, pixels: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Run the network, as it is.

        Args:
            pixels: [photos, 3, pixels, pixels].

        Returns:
            Logits [photos, species], and novelty [photos] or None: see `Scores`.
        """
        logits, *novelty = self._engine.run(pixels)
        return logits, novelty[0] if novelty else None

    def look(
        self, photos: Sequence[Image.Image], names: Sequence[str], views: tuple[View, ...]
    ) -> Scores:
        """Scores of upright photos of which nothing else is known, one after the other."""
        seen = [self.outputs(shown(p, self.member.preprocessing, views)) for p in photos]
        logits = np.concatenate([mean_of_views(found, len(views)) for found, _ in seen])
        novelty = [None if own is None else mean_of_views(own, len(views)) for _, own in seen]
        scores = Scores(
            logits=logits,
            species=self.member.species,
            photo_ids=tuple(names),
            truth=np.full(len(names), -1),
            countries=(UNKNOWN,) * len(names),
            observations=tuple(names),
            novelty=joined(novelty),
        )
        return self._mended(scores)

    def score(
        self,
        manifest: Manifest,
        *,
        views: tuple[View, ...] = WHOLE,
        workers: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """Score every photo of a manifest: see `batch.score_photos`."""
        scores = score_photos(
            self.outputs,
            manifest,
            species=self.member.species,
            preprocessing=self.member.preprocessing,
            views=views,
            workers=workers,
            batch_photos=BATCH_PHOTOS,
            progress=progress,
        )
        return self._mended(scores)

    def batches(
        self,
        manifest: Manifest,
        *,
        views: tuple[View, ...] = WHOLE,
        workers: int | None = None,
        start: int = 0,
    ) -> Iterator[Scores]:
        """The same, some photos at a time from a row on: see `batch.score_batches`."""
        for part in score_batches(
            self.outputs,
            manifest,
            species=self.member.species,
            preprocessing=self.member.preprocessing,
            views=views,
            workers=workers,
            batch_photos=BATCH_PHOTOS,
            start=start,
        ):
            yield self._mended(part)

    def _mended(self, scores: Scores) -> Scores:
        """With the member's own calibration, where it is one of several, and in our order."""
        calibration = self.member.calibration
        mended = calibration.apply(scores) if calibration else scores
        return mended.with_species(self.species)

    def _require_shape(self) -> None:
        inputs, outputs = self._engine.inputs, self._engine.outputs
        model, side = self.member.model, self.member.preprocessing.pixels
        species = len(self.member.species)
        if len(inputs) != 1 or inputs[0][1:] != [3, side, side]:
            raise InputError(f"{model}: should take [photos, 3, {side}, {side}]")
        if outputs[0][1:] != [species]:
            raise InputError(f"{model}: should give {species} logits a photo, not {outputs[0][1:]}")
        if len(outputs) > 2 or any(len(output) != 1 for output in outputs[1:]):
            raise InputError(
                f"{model}: besides logits only one number a photo may come, its novelty"
            )
