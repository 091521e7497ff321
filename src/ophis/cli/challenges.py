"""Verbs about challenges: files of answers, and their check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ophis.cli.options import Json
from ophis.cli.outcome import finish
from ophis.cli.priors import given_prior, say_merged
from ophis.errors import InputError

if TYPE_CHECKING:
    from ophis.taxonomy.species_list import SpeciesList


def submit(
    scores: Path | None = None,
    /,
    *,
    style: Literal["aicrowd2020", "observations"] | None = None,
    out: Path | None = None,
    prior: Path | None = None,
    species: Path | None = None,
    classes: Path | None = None,
    least_cost: Annotated[bool, Parameter(negative="")] = False,
    venomous: Path | None = None,
    aicrowd: str | None = None,
    json: Json = False,
) -> int:
    """Write answers as a challenge takes them, or answer its hidden test end to end.

    Args:
        scores: A scores file of the challenge's photos.
        style: aicrowd2020: `hashed_id` and a probability a species; observations (2022 to 2024):
            `observation_id,class_id`, photos of one observation fused.
        out: The file to write, .csv.
        prior: A prior of `ophis fit-prior`, to weigh the country.
        species: The challenge's list of species, for names and order of the columns.
        classes: For observations: a table with `class_id` and the species.
        least_cost: For observations: the answer of the least expected official cost.
        venomous: With --least-cost, the organisers' table `species,...,mivs`.
        aicrowd: A bundle that answers the hidden test of 2020; takes nothing but --species, and
            paths from AICROWD_TEST_IMAGES_PATH, AICROWD_TEST_METADATA_PATH and
            AICROWD_PREDICTIONS_OUTPUT_PATH.
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
    if aicrowd is not None:
        if scores or style or out or prior or classes or least_cost or venomous:
            raise InputError("--aicrowd takes nothing but --species; the machine says the rest")
        return _answer_hidden_test(aicrowd, columns, json=json)
    if not (scores and style and out):
        raise InputError("give a scores file, --style and --out; or --aicrowd BUNDLE")
    whole = read_scores(scores)
    said = with_unread(whole) if style == "aicrowd2020" else whole
    if prior:
        said = given_prior(prior, said.species).adjust(said)
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


def _answer_hidden_test(bundle: str, species: SpeciesList | None, *, json: bool) -> int:
    from ophis.challenges.aicrowd import predict, read_place
    from ophis.cli.terminal.progress import bar
    from ophis.inference.bundles.registry import load_by_name

    test, classifier = read_place(), load_by_name(bundle)
    if classifier.bundle.prior:
        say_merged(classifier.bundle.prior, bundle)
    with bar(None) as advance:
        done = predict(classifier, test, species=species, progress=advance)
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
