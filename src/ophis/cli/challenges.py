"""Commands of challenges: submit, check-submission, read-submissions, aicrowd."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ophis.cli.options import Json, Named, as_typed, print_merged_countries, read_prior_option
from ophis.cli.outcome import finish
from ophis.cli.terminal.streams import print_json
from ophis.errors import InputError
from ophis.files.overlap import refuse_overlap


def submit(
    scores: Path,
    /,
    *,
    style: Literal["aicrowd2020", "observations"],
    out: Path,
    prior: Path | None = None,
    species: Path | None = None,
    classes: Path | None = None,
    least_cost: Annotated[bool, Parameter(negative="")] = False,
    venomous: Path | None = None,
    json: Json = False,
) -> int:
    """Write a submission file of a challenge from scores.

    Args:
        scores: Scores file of the challenge's photos.
        style: aicrowd2020: `hashed_id` and a probability for each species. observations (2022 to
            2024): `observation_id,class_id`, aggregated over the photos of an observation.
        out: The file to write, .csv.
        prior: A prior of `ophis fit-prior`, to adjust the scores by the country.
        species: The challenge's species list, for names and order of the columns.
        classes: With --style observations, a table with `class_id` and the species.
        least_cost: With --style observations, choose the answer of least expected cost.
        venomous: With --least-cost, the organisers' table `species,...,mivs`.
        json: One JSON object: the file, the number of photos, and the photos that failed.
    """
    from ophis import read_scores
    from ophis.challenges.submission import read_class_ids, read_species
    from ophis.challenges.submission import submit as write_submission

    refuse_overlap((scores, prior, species, classes, venomous), files=[out])
    found = read_scores(scores)
    done = write_submission(
        found,
        out,
        style=style,
        prior=read_prior_option(prior, found.species) if prior else None,
        species=read_species(species) if species else None,
        classes=read_class_ids(classes) if classes else None,
        least_cost=least_cost,
        venomous=venomous,
    )
    facts = {"file": done.path, "photos": done.photos}
    return finish(done.path, facts, failures=found.failures, json=json)


def aicrowd(bundle: Named, /, *, species: Path | None = None, json: Json = False) -> int:
    """Predict the hidden test of SnakeCLEF 2020 on AIcrowd, from photos to the submission file.

    The paths come from the environment: AICROWD_TEST_IMAGES_PATH, AICROWD_TEST_METADATA_PATH and
    AICROWD_PREDICTIONS_OUTPUT_PATH. A photo that cannot be read is predicted from its country.

    Args:
        bundle: A bundle folder, or hf://owner/name of the Hugging Face Hub.
        species: The challenge's species list, for names and order of the columns.
        json: One JSON object: the file, the number of photos, and the photos that failed.
    """
    from ophis.challenges.aicrowd import aicrowd, read_environment
    from ophis.challenges.submission import read_species
    from ophis.cli.terminal.progress import bar
    from ophis.inference.classifier import load

    test = read_environment()
    refuse_overlap((as_typed(bundle), test.metadata, species), files=[test.predictions])
    columns = read_species(species) if species else None
    classifier = load(as_typed(bundle))
    if classifier.bundle.prior:
        print_merged_countries(classifier.bundle.prior.merged(), bundle)
    with bar(None) as advance:
        done = aicrowd(classifier, test, species=columns, progress=advance)
    for name in done.unknown_countries:
        print(
            f"ophis: {test.metadata}: unknown country {name!r}, taken for UNKNOWN", file=sys.stderr
        )
    return finish(
        f"{done.photos:,} photos, {len(done.unread):,} of them by their country only: {done.path}",
        {"file": done.path, "photos": done.photos},
        failures=done.unread,
        json=json,
    )


def check_submission(
    file: Path,
    /,
    *,
    species: Path | None = None,
    classes: Path | None = None,
    against: Path | None = None,
    tolerance: float = 1e-6,
    json: Json = False,
) -> int:
    """Check a submission file: ids, columns, numbers and sums of every row.

    The exit status is 1 if the file has an error.

    Args:
        file: A file with `hashed_id` and probabilities, or with `observation_id,class_id`.
        species: The challenge's species list; the columns may have any order.
        classes: A table with the challenge's `class_id`.
        against: A table of all `hashed_id` or `observation_id` that the file must have.
        tolerance: Largest difference from 1 of the sum of a row.
        json: One JSON object: rows and errors.
    """
    from ophis.challenges.submission import read_class_ids, read_species
    from ophis.challenges.submission_check import check_submission as check
    from ophis.cli.terminal.progress import waiting
    from ophis.cli.terminal.tables import print_checked

    with waiting(f"checking {file}"):
        done = check(
            file,
            species=read_species(species) if species else None,
            classes=frozenset(read_class_ids(classes).values()) if classes else None,
            against=against,
            tolerance=tolerance,
        )
    print_checked(done, json=json)
    return 1 if done.problems else 0


def read_submissions(
    *files: Annotated[Path, Parameter(required=True)],
    truth: Path,
    out: Path,
    classes: Path | None = None,
    json: Json = False,
) -> None:
    """Turn submissions into scores files, to evaluate and compare entries without their logits.

    The answer is certain, all else impossible: top-1, macro F1 and the SnakeCLEF metrics are those
    of the entry, top-5 equals top-1, and probabilities mean nothing.

    Args:
        files: Tables with an id (`photo_id`, `uuid`, `hashed_id` or `observation_id`) and the
            species or `class_id`.
        truth: Table of the same ids with the true species or `class_id`, and with `country` and
            `observation_id` if known.
        out: Folder of the scores files, NAME.npz for each NAME.csv.
        classes: For tables with `class_id`: a table with `class_id` and the species.
        json: One JSON object: the scores files.
    """
    from ophis import read_submissions as read

    paths = [out / f"{file.stem}.npz" for file in files]
    if len(set(paths)) < len(paths):
        raise InputError("two submissions have the same file name; rename one")
    refuse_overlap((*files, truth, classes), files=paths)
    scores = read(files, truth, classes=classes)
    written = [each.write(path) for each, path in zip(scores, paths, strict=True)]
    if json:
        print_json({"files": written})
        return
    for path in written:
        print(path)
