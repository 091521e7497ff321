"""Classifier: identifies photos with the networks of a bundle, without torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.decision.decision import State, no_name
from ophis.errors import NoPhotoError, require_whole
from ophis.geography.countries import UNKNOWN
from ophis.geography.location import Place, place_at, place_of
from ophis.inference.answer import Answer
from ophis.inference.answer_lines import sentences
from ophis.inference.batches import joined_batches
from ophis.inference.bundles.bundle import read_bundle
from ophis.inference.bundles.registry import bundle_folder
from ophis.inference.engine import EngineKind
from ophis.inference.evidence import evidence_for
from ophis.inference.network import Network
from ophis.inference.observation import decide, seen_photos
from ophis.inference.photo import Wanted, read, read_photos
from ophis.locales import read_sentences
from ophis.scores.ensemble import ensemble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ophis.datasets.manifest import Manifest
    from ophis.decision.decision import Decision
    from ophis.errors import PhotoFailure
    from ophis.geography.location import Position
    from ophis.images.test_time_augmentation import Crop
    from ophis.inference.answer import SeenPhoto
    from ophis.inference.bundles.bundle import Bundle
    from ophis.inference.evidence import Evidence
    from ophis.inference.photo import Photo, Reader
    from ophis.locales import Sentences
    from ophis.priors.effect import PriorEffect
    from ophis.scores.scores import Scores


class Classifier:
    """A bundle with its networks loaded.

    Args:
        bundle: a verified bundle, see `read_bundle`.
        threads: threads of the engine; 0 lets it choose.
        engine: runtime of the networks: see `EngineKind`.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int = 0,
        engine: EngineKind | str = EngineKind.ONNXRUNTIME,
    ) -> None:
        self.bundle, self.engine = bundle, engine
        self.networks = tuple(
            Network(member, bundle.species, threads=threads, engine=engine)
            for member in bundle.members
        )

    def score(
        self,
        manifest: Manifest,
        *,
        tta: tuple[Crop, ...] | None = None,
        workers: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """Score every photo of a manifest without its country; see `scoring.score` for many photos.

        Args:
            manifest: the photos; each is read once for each network of the bundle.
            tta: crops of each photo; by default those of the bundle.
            workers: threads that read photos; by default one a processor core.
            progress: called with the number of photos done since the last call.

        Raises:
            InputError: when the manifest holds a species that the bundle does not.
        """
        batches = self.batches(manifest, tta=tta, workers=workers)
        return joined_batches(batches, self.bundle.species, progress=progress)

    def batches(
        self,
        manifest: Manifest,
        *,
        tta: tuple[Crop, ...] | None = None,
        workers: int | None = None,
    ) -> Iterator[Scores]:
        """Score the photos of a manifest and yield the scores of one batch after another."""
        networks = [
            network.batches(manifest, tta=tta or self.bundle.tta, workers=workers)
            for network in self.networks
        ]
        return map(ensemble, zip(*networks, strict=True))

    def identify(
        self,
        photo: str | Path | bytes | Sequence[str | Path | bytes],
        *,
        country: str | Mapping[str, float] | None = None,
        at: Position | tuple[float, float] | None = None,
        gps: bool = False,
        top: int = 5,
        language: str = "en",
        evidence: bool = False,
        reader: Reader = read,
    ) -> Answer:
        """Identify the snake in a photo, or in several photos of the same snake.

        The logits of several photos are aggregated; blank and out-of-distribution photos are
        excluded. The danger is assessed for each photo and for all of them. Photos that do not fit
        one snake are answered one by one, see `Answer.each`.

        Args:
            photo: path, or the bytes of the file; or a list of them.
            country: country of the photo, as name or ISO code; or several with their weights, as
                {"Nepal": 0.6, "India": 0.4}. None: the image alone decides. "UNKNOWN" is the
                country of that name in the training table, as in the paper (section 6).
            at: position of the photo, or (latitude, longitude); it is in no answer. Near a border
                ``country`` may name one of the countries around it.
            gps: use the position in a photo's EXIF when neither country nor position is given.
            top: number of guesses, at least one.
            language: language of `Answer.lines`.
            evidence: return the evidence maps of the best guess, from the first network with any.
            reader: function that decodes the bytes of a photo; the service decodes in other
                processes.

        Raises:
            NoPhotoError: when none of the photos can be read; see `without_photo`.
            InputError: when no country has that name, a weight is not above 0, the position is
                none or not in the country, ``top`` is no whole number above 0, no photo is given,
                or there are no words in the language.
        """
        require_whole("top", top, least=1)
        # A wrong place is refused before the photo is read.
        given = None if country is None and at is None else place_of(country, at=at)
        words = read_sentences(language)
        several = [photo] if isinstance(photo, str | Path | bytes) else photo
        sides = frozenset(member.preprocessing.pixels for member in self.bundle.members)
        wanted = Wanted(sides, self.bundle.tta, gps=gps and given is None)
        photos, failures = read_photos(several, wanted, reader)
        if not photos:
            raise NoPhotoError(failures)
        place = given or _place(photos, gps=gps)
        raw, maps = self._scores_and_evidence(photos, place, evidence=evidence)
        answer = replace(self._decided(words, photos, raw, place, top=top), failures=failures)
        return _with_evidence(answer, maps) if evidence else answer

    def _decided(
        self, words: Sentences, photos: Sequence[Photo], raw: Scores, place: Place, *, top: int
    ) -> Answer:
        """Return the answer to photos, and to each by itself if they do not fit one snake."""
        seen = seen_photos(self.bundle, photos, raw)
        decision, effect, guesses = decide(self.bundle, raw, seen, place, top=top)
        each = ()
        if decision.contradicting:
            each = tuple(
                self._decided(words, [photo], raw.take(slice(row, row + 1)), place, top=top)
                for row, photo in enumerate(photos)
            )
        answer = self._answer(words, decision, place, effect=effect, photos=seen)
        return replace(answer, guesses=guesses, each=each)

    def without_photo(
        self,
        failures: Sequence[PhotoFailure],
        *,
        country: str | Mapping[str, float] | None = None,
        at: Position | tuple[float, float] | None = None,
        language: str = "en",
    ) -> Answer:
        """Return the answer for photos that all cannot be used: no name, and general advice.

        Args:
            failures: the photos that cannot be used, see `NoPhotoError.failures`.
            country: country of the photos, as in `identify`.
            at: position of the photos, as in `identify`.
            language: language of `Answer.lines`.

        Raises:
            InputError: when there is no such country, position or language.
        """
        return self._answer(
            read_sentences(language),
            no_name(State.UNUSABLE),
            place_of(country, at=at),
            failures=tuple(failures),
        )

    def _answer(
        self,
        words: Sentences,
        decision: Decision,
        place: Place,
        *,
        effect: PriorEffect | None = None,
        photos: tuple[SeenPhoto, ...] = (),
        failures: tuple[PhotoFailure, ...] = (),
    ) -> Answer:
        """Return the answer without guesses and evidence."""
        rule = self.bundle.rule
        spelling = self.bundle.prior.spelling if self.bundle.prior else str
        countries = {spelling(key): share for key, share in place.weights.items()}
        return Answer(
            photos=photos,
            failures=failures,
            state=decision.state,
            name=decision.name,
            verdict=decision.verdict,
            evaluated=rule is not None,
            possible=tuple(self.bundle.species[column] for column in decision.species),
            guesses=(),
            country=next(iter(countries), UNKNOWN),
            countries=countries,
            source=place.source,
            prior=effect.use if effect else None,
            contradicts=bool(effect and effect.contradicts),
            overridden=bool(effect and effect.overridden),
            place_records=effect.records if effect else None,
            joined=decision.joined,
            danger_guaranteed=self.bundle.danger_guaranteed,
            bundle=self.bundle.version,
            language=words.language,
            lines=sentences(words, decision, place, effect=effect, photos=photos, rule=rule),
        )

    def _scores_and_evidence(
        self, photos: Sequence[Photo], place: Place, *, evidence: bool
    ) -> tuple[Scores, tuple[tuple[Evidence, ...], ...]]:
        """Return raw scores and evidence of each photo; rows of the same name are numbered."""
        names = [photo.name for photo in photos]
        if len(set(names)) < len(names):
            names = [f"{name} ({number})" for number, name in enumerate(names, start=1)]
        found = [
            network.scores_and_evidence(
                [photo.pixels for photo in photos], names, self.bundle.tta, evidence=evidence
            )
            for network in self.networks
        ]
        scores = ensemble([scores for scores, _ in found])
        maps = next((maps for _, maps in found if any(maps)), found[0][1])
        return replace(scores, countries=(place.country,) * len(photos)), maps


def _with_evidence(answer: Answer, maps: Sequence[tuple[Evidence, ...]]) -> Answer:
    """Return an answer with the evidence of its best guess in each photo."""
    best = answer.guesses[0].species if answer.guesses else None
    each = zip(answer.each, maps, strict=False)  # none where the photos fit one snake
    return replace(
        answer,
        evidence=tuple(evidence_for(best, own) for own in maps),
        each=tuple(_with_evidence(alone, (own,)) for alone, own in each),
    )


def _place(photos: Sequence[Photo], *, gps: bool) -> Place:
    """Return the place of the first photo with a position, preferably near a country."""
    if not gps:
        return place_of(None)
    places = [place_at(photo.pixels.position) for photo in photos]
    return max(places, key=lambda place: (bool(place.weights), place.position is not None))


def load(
    bundle: str | Path,
    *,
    threads: int = 0,
    engine: EngineKind | str = EngineKind.ONNXRUNTIME,
    expect: str | None = None,
) -> Classifier:
    """Load a bundle: a folder, "imagenet17", or "hf://owner/name" of the Hugging Face Hub.

    Args:
        bundle: a folder that `ophis export` wrote, the name of a built-in bundle, or a repository
            of the Hub, also as "hf://owner/name@revision" (extra `hub`).
        threads: threads of the engine; 0 lets it choose.
        engine: runtime of the networks: "onnxruntime", "openvino" or "openvino-bfloat16".
        expect: version that the bundle has to have, see `read_bundle`.

    Raises:
        InputError: naming the file that is missing, changed or not a model, the repository that
            cannot be downloaded, or the engine that is not available.
    """
    return Classifier(
        read_bundle(bundle_folder(bundle), expect=expect), threads=threads, engine=engine
    )
