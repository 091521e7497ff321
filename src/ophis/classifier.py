"""Photos to names through ONNX Runtime: no torch, no network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from ophis.batch import score_photos
from ophis.bundle import read_bundle
from ophis.decision import Decision, State, Verdict, decide_without_rule
from ophis.decision import unusable as no_decision
from ophis.errors import InputError
from ophis.images import decode, preprocess, read_bytes, unusable
from ophis.mixture import MixedPrior
from ophis.places import UNKNOWN, country_code, country_name, english_name
from ophis.position import Place, Source, place_of
from ophis.prior import PriorUse
from ophis.scores import Scores
from ophis.taxa import Danger, danger
from ophis.words import read_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ophis.bundle import Bundle
    from ophis.manifest import Manifest
    from ophis.words import Words


@dataclass(frozen=True)
class Guess:
    """A species with its probability in [0, 1]."""

    species: str
    probability: float
    danger: Danger


@dataclass(frozen=True)
class Answer:
    """What the classifier says of one photo; iterating over it gives the guesses, best first.

    Attributes:
        photo: name of the photo as it was given.
        photo_sha256: digest of its bytes.
        state: how far the answer goes: to a species, a genus, a family, or not at all.
        name: that species, genus or family, else None.
        verdict: on the danger, from every species that cannot be excluded.
        possible: the species that cannot be excluded, the most probable first; empty when no snake
            is seen.
        guesses: the most probable species, best first; empty when no snake is seen.
        country: key of the country that was used, as the prior spells it, that with the largest
            share of several; "UNKNOWN" when none is known.
        countries: share of each country that the photo may be from, the largest first; more than
            one near a border, or when several were given.
        source: where they came from: given, or the photo's own position, which itself stands
            nowhere; None when nobody said anything.
        prior: what the country did to the probabilities.
        bundle: version of the bundle that answers.
        lines: all that in sentences for people: danger first, then what it is, the country, and
            what holds whatever the snake is.
    """

    photo: str
    photo_sha256: str
    state: State
    name: str | None
    verdict: Verdict
    possible: tuple[str, ...]
    guesses: tuple[Guess, ...]
    country: str
    countries: Mapping[str, float]
    source: Source | None
    prior: PriorUse
    bundle: str
    lines: tuple[str, ...]

    def __iter__(self) -> Iterator[Guess]:
        return iter(self.guesses)

    def __len__(self) -> int:
        return len(self.guesses)

    def __getitem__(self, place: int) -> Guess:
        return self.guesses[place]

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return json.loads(json.dumps(asdict(self)))


class Classifier:
    """A bundle ready to answer.

    Args:
        bundle: what `read_bundle` verified.
        threads: of ONNX Runtime; 0 lets it choose.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 0) -> None:
        self.bundle = bundle
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                bundle.model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has no base class of its own
            reason = str(error).splitlines()[0]
            raise InputError(f"{bundle.model}: not a model that can be run: {reason}") from None
        self._require_shape()

    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network: [photos, 3, pixels, pixels] float32 -> [photos, species] float32."""
        return self.outputs(pixels)[0]

    def outputs(
        self, pixels: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Logits [photos, species], and novelty [photos] or None: see `Scores`."""
        found = self._session.run(None, {self._session.get_inputs()[0].name: pixels})
        logits, *novelty = (np.asarray(output) for output in found)
        return logits, novelty[0] if novelty else None

    def score(
        self,
        manifest: Manifest,
        *,
        workers: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Scores:
        """Score every photo of a manifest without its country: see `batch.score_photos`."""
        return score_photos(
            self.outputs,
            manifest,
            species=self.bundle.species,
            preprocessing=self.bundle.preprocessing,
            workers=workers,
            progress=progress,
        )

    def identify(
        self,
        photo: str | Path | bytes,
        *,
        country: str | Mapping[str, float] | None = None,
        gps: bool = False,
        top: int = 5,
        language: str = "en",
    ) -> Answer:
        """Name the snake in a photo.

        Args:
            photo: path, or the bytes of the file.
            country: where it was taken, as name or ISO code; or several with their weights, as
                {"Nepal": 0.6, "India": 0.4}. None: nobody said, the image alone decides.
                "UNKNOWN" is the country of that name in the training table, as the paper treats
                it.
            gps: whether the photo's own position tells the country when none is given.
            top: how many guesses, at least one.
            language: of `Answer.lines`.

        Raises:
            PhotoError: when the photo cannot be used.
            InputError: when no country has that name, a weight is not above 0, ``top`` is below
                one, or there are no words in the language.
        """
        if top < 1:
            raise InputError(f"top = {top} should be 1 or more")
        if country is not None:
            place_of(country)  # a wrong one is refused before the photo is read
        words = read_words(language)
        name = "photo" if isinstance(photo, bytes) else str(photo)
        data = photo if isinstance(photo, bytes) else read_bytes(photo)
        picture = decode(data, name)
        place = place_of(country, photo=data, gps=gps)
        why = unusable(picture)
        logits, novelty = self.outputs(preprocess(picture, self.bundle.preprocessing)[None])
        raw = self._one(name, logits, place.country, novelty)
        scores, use = self._adjusted(raw, place)
        decision = self._decide(raw, scores, use) if why is None else no_decision()
        spelling = self.bundle.prior.spelling if self.bundle.prior else str
        countries = {spelling(key): share for key, share in place.shares.items()}
        return Answer(
            photo=name,
            photo_sha256=hashlib.sha256(data).hexdigest(),
            state=decision.state,
            name=decision.name,
            verdict=decision.verdict,
            possible=tuple(self.bundle.species[column] for column in decision.species),
            guesses=self._guesses(scores, top) if decision.species else (),
            country=next(iter(countries), UNKNOWN),
            countries=countries,
            source=place.source,
            prior=use,
            bundle=self.bundle.version,
            lines=_lines(words, decision, place, use=use, why=why),
        )

    def _adjusted(self, raw: Scores, place: Place) -> tuple[Scores, PriorUse]:
        """Scores with the country's say, else with the calibration of the image's own."""
        prior = self.bundle.prior
        if place.shares and prior:
            here = prior if len(place.shares) == 1 else MixedPrior(prior, place.shares)
            scores, (use,) = here.adjust_with_use(raw)
            return scores, use
        use = PriorUse.NO_PRIOR if place.shares else PriorUse.NO_COUNTRY
        calibration = self.bundle.calibration
        return (calibration.apply(raw) if calibration else raw), use

    def _decide(self, raw: Scores, scores: Scores, use: PriorUse) -> Decision:
        rule = self.bundle.rule
        if rule is None:
            return decide_without_rule(scores)[0]
        country = use not in (PriorUse.NO_COUNTRY, PriorUse.NO_PRIOR)
        return rule.decide(scores, novel=rule.novel(raw), country=country)[0]

    def _one(
        self,
        name: str,
        logits: NDArray[np.float32],
        key: str,
        novelty: NDArray[np.float32] | None,
    ) -> Scores:
        return Scores(
            logits=logits,
            species=self.bundle.species,
            photo_ids=(name,),
            truth=np.array([-1]),
            countries=(key,),
            observations=(name,),
            novelty=novelty,
        )

    def _guesses(self, scores: Scores, top: int) -> tuple[Guess, ...]:
        (probabilities,) = scores.probabilities()
        order = np.argsort(-probabilities, kind="stable")[:top]
        names = [self.bundle.species[int(column)] for column in order]
        return tuple(
            Guess(name, float(probabilities[column]), danger(name))
            for name, column in zip(names, order, strict=True)
        )

    def _require_shape(self) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        side = self.bundle.preprocessing.pixels
        if len(inputs) != 1 or inputs[0].shape[1:] != [3, side, side]:
            raise InputError(f"{self.bundle.model}: should take [photos, 3, {side}, {side}]")
        if outputs[0].shape[1:] != [len(self.bundle.species)]:
            raise InputError(
                f"{self.bundle.model}: should give {len(self.bundle.species)} logits a photo,"
                f" not {outputs[0].shape[1:]}"
            )
        if len(outputs) > 2 or any(len(output.shape) != 1 for output in outputs[1:]):
            raise InputError(
                f"{self.bundle.model}: besides logits only one number a photo may come, its novelty"
            )


def _lines(
    words: Words, decision: Decision, place: Place, *, use: PriorUse, why: str | None
) -> tuple[str, ...]:
    """The answer in sentences; an answer that names no snake does not speak of the country."""
    filled = {"name": decision.name or "", "why": words.say("why", why) if why else ""}
    lines = [
        words.say("verdict", decision.verdict),
        words.say("state", decision.state, **filled),
    ]
    if decision.state not in (State.NO_SNAKE, State.UNUSABLE):
        if place.source:
            lines.append(words.say("place", place.source, countries=_named(place.shares)))
        lines.append(words.say("prior", use))
    return (*lines, words.say("advice", "emergency"))


def _named(shares: Mapping[str, float]) -> str:
    """Countries as people read them, several with their shares."""
    names = {
        english_name(code) if (code := country_code(key)) else country_name(key): share
        for key, share in shares.items()
    }
    several = len(names) > 1
    return ", ".join(f"{name} {share:.0%}" if several else name for name, share in names.items())


def load(folder: str | Path, *, threads: int = 0) -> Classifier:
    """Load a bundle folder.

    Raises:
        InputError: naming the file that is missing, changed or no model.
    """
    return Classifier(read_bundle(folder), threads=threads)
