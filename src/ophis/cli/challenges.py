"""Verbs about challenges: files of answers, and their check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ophis.cli.options import Json, Named, as_typed, print_merged_countries, read_prior_option
from ophis.cli.outcome import finish
from ophis.errors import InputError


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
        scores: A scores file of the challenge's photos.
        style: aicrowd2020: `hashed_id` and a probability a species; observations (2022 to 2024):
            `observation_id,class_id`, photos of one observation aggregated.
        out: The file to write, .csv.
        prior: A prior of `ophis fit-prior`, to weigh the country.
        species: The challenge's list of species, for names and order of the columns.
        classes: For observations: a table with `class_id` and the species.
        least_cost: For observations: the answer of the least expected official cost.
        venomous: With --least-cost, the organisers' table `species,...,mivs`.
        json: One JSON object: the file, how many photos, and those that could not be read.
    """
    from ophis import read_scores
    from ophis.challenges.submission import (
        read_class_ids,
        read_species,
        with_unread,
        write_answers,
        write_probabilities,
    )
    from ophis.taxonomy.danger import dangerous

    columns = read_species(species) if species else None
    whole = read_scores(scores)
    said = with_unread(whole) if style == "aicrowd2020" else whole
    if prior:
        said = read_prior_option(prior, said.species).adjust(said)
    if style == "aicrowd2020":
        if classes or least_cost or venomous:
            raise InputError("--classes, --least-cost, --venomous are for --style observations")
        write_probabilities(said, out, species=columns)
    else:
        if classes is None or columns:
            raise InputError("--style observations needs --classes, and no --species")
        if venomous and not least_cost:
            raise InputError("--venomous is for --least-cost; give both")
        costly = dangerous(said.species, venomous) if least_cost else None
        write_answers(said, out, classes=read_class_ids(classes), venomous=costly)
    facts = {"file": out, "photos": len(said)}
    return finish(out, facts, failures=whole.failures, json=json)


def aicrowd(bundle: Named, /, *, species: Path | None = None, json: Json = False) -> int:
    """Predict the hidden test of SnakeCLEF 2020 on AIcrowd, from photos to the submission file.

    The paths come from the environment: AICROWD_TEST_IMAGES_PATH, AICROWD_TEST_METADATA_PATH and
    AICROWD_PREDICTIONS_OUTPUT_PATH. A photo that cannot be read is predicted from its country.

    Args:
        bundle: A bundle folder, or hf://owner/name of the Hugging Face Hub.
        species: The challenge's list of species, for names and order of the columns.
        json: One JSON object: the file, how many photos, and those that could not be read.
    """
    from ophis.challenges.aicrowd import predict, read_place
    from ophis.challenges.submission import read_species
    from ophis.cli.terminal.progress import bar
    from ophis.inference.classifier import load

    columns = read_species(species) if species else None
    test, classifier = read_place(), load(as_typed(bundle))
    if classifier.bundle.prior:
        print_merged_countries(classifier.bundle.prior.merged(), bundle)
    with bar(None) as advance:
        done = predict(classifier, test, species=columns, progress=advance)
    for name in done.no_countries:
        print(f"ophis: {test.metadata}: no country is called {name!r}: UNKNOWN", file=sys.stderr)
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
    """Check a file of answers: ids, numbers, sums, columns; every wrong row is named.

    Exit status 1 when something is wrong.

    Args:
        file: A file with `hashed_id` and probabilities, or with `observation_id,class_id`.
        species: The challenge's list of species, which the columns should have in any order.
        classes: A table with the challenge's `class_id`.
        against: A table that names every `hashed_id` or `observation_id` that the file should have.
        tolerance: How far from 1 the probabilities of a row may sum.
        json: One JSON object.
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
