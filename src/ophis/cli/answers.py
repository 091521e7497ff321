"""Commands that identify: one photo, many photos, over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ophis.cli.options import (
    FollowLinks,
    Json,
    Named,
    TtaKinds,
    Whole,
    as_typed,
    read_photos_option,
    tables_of,
)
from ophis.cli.outcome import finish, print_failures
from ophis.cli.terminal.streams import OutputError, print_json
from ophis.errors import InputError, NoPhotoError, NotFiniteError, PhotoFailure, printable
from ophis.files.overlap import refuse_overlap

if TYPE_CHECKING:
    from ophis.geography.location import Position
    from ophis.inference.answer import Answer
    from ophis.inference.classifier import Classifier


def identify(
    bundle: Named,
    /,
    *photos: Named,
    files_from: Named | None = None,
    country: str | None = None,
    at: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    gps: Annotated[bool, Parameter(negative="")] = False,
    one_snake: Annotated[bool, Parameter(negative="")] = False,
    top: Whole = 5,
    language: str = "en",
    expect: str | None = None,
    json: Json = False,
) -> int:
    """Name the snake in each photo.

    A photo that cannot be used is listed, the others are identified, and the exit status is 1.

    Args:
        bundle: A bundle folder, `imagenet17`, or hf://owner/name of the Hugging Face Hub.
        photos: Photos, identified one by one. A path; a folder: the photos in it; a
            pattern such as 'photos/**/*.jpg'; or - for one photo from standard input.
        files_from: Take photos also from this file, a path a line; - is standard input.
        one_snake: The photos show the same snake: give one answer to all of them, and to each of
            them too if they do not fit one snake.
        country: Where the photos were taken: a name or an ISO code.
        at: Position where the photos were taken, latitude,longitude in decimal degrees, and if
            known its accuracy in metres: 6.9,79.9 or 6.9,79.9,50. With --country too, that country
            is used near a border. The position is in no answer and no log.
        gps: Without --country and --at, use each photo's own position, if it has one.
        top: Number of species to list.
        language: Language of the answer: en, es, fr, hi, pt or sw; es-MX is es.
        expect: Refuse a bundle of another version: all 64 digits, as `ophis doctor` prints them.
        json: One JSON object a photo (with --one-snake one in all), each on a line of its own.
    """
    from ophis.cli.terminal.photo_names import find_photos
    from ophis.cli.terminal.progress import waiting
    from ophis.inference.classifier import load
    from ophis.locales import read_sentences

    read_sentences(language)  # refuses an unknown language before the bundle is loaded
    position = None if at is None else _read_position(at)
    listed = as_typed(files_from) if files_from else None
    found, notes = find_photos(list(map(as_typed, photos)), listed=listed)
    for line in notes:
        print(f"ophis: {printable(line)}", file=sys.stderr)
    with waiting(f"loading {bundle}"):
        classifier = load(bundle, expect=expect)
    common = {"country": country, "at": position, "language": language}
    failed = 0
    for number, snake in enumerate([found] if one_snake else found):
        with waiting("identifying"):
            answer = _answer(classifier, snake, common, gps=gps, top=top)
        print_failures(answer.failures, language=language)
        failed += len(answer.failures)
        try:
            _show(answer, first=number == 0, json=json)
        except OutputError as error:
            raise OutputError(f"{error}. {answer.lines[-1]}") from error.__cause__
    return 1 if failed else 0


def _read_position(at: str) -> Position:
    """Read the option; the error names it."""
    from ophis.geography.location import read_position

    try:
        return read_position(at)
    except InputError as error:
        raise InputError(f"--at: {error}") from None


def _show(answer: Answer, *, first: bool, json: bool) -> None:
    if json:
        print_json(answer.as_dict(), indent=None)
        return
    from ophis.cli.terminal.answer_text import print_answer  # needs rich; JSON does not

    print("" if first else "\n", end="")
    print_answer(answer)


def _answer(
    classifier: Classifier,
    photos: Path | bytes | list[Path | bytes],
    common: dict[str, Any],
    **options: Any,  # noqa: ANN401 - of `Classifier.identify`
) -> Answer:
    """Identify the photos of a snake; without a readable photo return the general advice."""
    try:
        return classifier.identify(photos, **common, **options)
    except NoPhotoError as error:
        failures = error.failures
    except NotFiniteError as error:
        if isinstance(photos, list):
            raise
        name = str(photos) if isinstance(photos, Path) else "standard input"
        failures = (PhotoFailure(name, str(error)),)
    return classifier.without_photo(failures, **common)


def score(
    bundle: Named,
    manifest: Path,
    /,
    *,
    out: Path,
    photos: Path | None = None,
    follow_links: FollowLinks = False,
    tta: TtaKinds = (),
    engine: str = "onnxruntime",
    ray: str | None = None,
    worker_cores: Whole = 1,
    json: Json = False,
) -> int:
    """Score every photo of a manifest and write the logits to a scores file.

    They are written in parts, to OUT.parts: the same command continues where it was stopped.

    Args:
        bundle: A bundle folder, or `imagenet17`.
        manifest: The photos.
        out: The scores file to write, .npz.
        photos: Folder of the photos of a SnakeCLEF table; by default that of the table.
        follow_links: Read photos that links or a column `folder` put elsewhere; for your own files.
        tta: Test-time augmentation, instead of the bundle's own: average the logits of each photo
            with those of its mirror image (flip) or its four corners (crops); may be repeated.
        engine: onnxruntime, openvino, or openvino-bfloat16: rounded to bfloat16, and faster on
            processors that support it.
        ray: Score with the workers of a Ray cluster, given its address; `auto` on one of its
            machines, `local` for workers on this machine.
        worker_cores: With --ray, the processor cores of each worker.
        json: One JSON object: the scores file, how many photos, and those that could not be read.
    """
    from ophis.cli.terminal.progress import bar
    from ophis.inference.memory import keep_freed_memory
    from ophis.inference.scoring import score as score_photos

    refuse_overlap((as_typed(bundle), *tables_of(manifest)), files=[out])
    keep_freed_memory()
    rows = read_photos_option(manifest, photos, follow_links=follow_links)
    with bar(len(rows)) as advance:
        scores = score_photos(
            as_typed(bundle),
            rows,
            out=out,
            tta=tta or None,
            engine=engine,
            ray=ray,
            worker_cores=worker_cores,
            progress=advance,
        )
    return finish(
        f"{len(scores):,} photos scored, {len(scores.failures):,} could not be read: {out}",
        {"scores": out, "photos": len(scores)},
        failures=scores.failures,
        json=json,
    )


def serve(
    bundle: Named,
    /,
    *,
    host: str = "127.0.0.1",
    host_name: Annotated[list[str] | None, Parameter(negative="")] = None,
    port: Whole = 8000,
    workers: Whole = 2,
    waiting: Whole = 8,
    expect: str | None = None,
) -> None:
    """Identify over HTTP and serve the web page: see docs/http.md.

    SIGTERM or Ctrl-C ends it after the requests in progress.

    Args:
        bundle: A bundle folder, or `imagenet17`.
        host: The address to listen at; by default this machine only.
        host_name: A further name in the address that clients open, such as the computer's;
            repeat it for several. `--host`, its address and localhost need none.
        port: The port to listen at; 0 takes one that is free.
        workers: Requests answered at once.
        waiting: Further requests that may wait; one more is refused with a time to retry.
        expect: Refuse a bundle of another version: all 64 digits, as `ophis doctor` prints them.
    """
    try:
        from ophis.serve import Limits
        from ophis.serve.server import serve as serve_classifier
    except ImportError as error:
        raise InputError(f"{error}; pip install 'ophis[serve]'") from None
    from ophis.inference.classifier import load

    limits = Limits(workers=workers, waiting=waiting)
    classifier = load(bundle, threads=limits.engine_threads, expect=expect)
    serve_classifier(
        classifier,
        host=host,
        port=port,
        limits=limits,
        host_names=host_name or (),
        host_hint="start ophis serve with --host-name and this name to allow it",
    )
