"""The verbs: each reads its arguments, calls one public function, prints.

Tables for people go to stdout, progress and warnings to stderr. Exit status: 0 all well, 1 some
photos failed (each is listed), 2 the request itself is wrong, 130 and 143 stopped and saved.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from ophis.errors import InputError, NoPhotoError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ophis.presence import PresenceMap
    from ophis.prior import Prior
    from ophis.scores import Scores
    from ophis.taxa import SpeciesList

app = App(
    name="ophis",
    help="Names a snake from a photo and a country; trains and judges the models that do it.",
    help_format="plaintext",
)

_EXTRAS = {
    **dict.fromkeys(("matplotlib", "jinja2", "markupsafe"), "report"),
    **dict.fromkeys(
        ("torch", "torchvision", "timm", "onnx", "onnxscript", "safetensors", "tensorboard"),
        "train,demo",
    ),
    "captum": "train,demo",
}

Json = Annotated[bool, Parameter(negative="")]


def main(arguments: list[str] | None = None) -> None:
    """Run a verb and end the process with its status."""
    # Pillow warns of odd metadata that does not touch the pixels; a person cannot mend it.
    warnings.filterwarnings("ignore", module=r"PIL\b")
    try:
        status = app(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        status = _complain(_one_line(error))
    except InputError as error:
        status = _complain(str(error))
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        status = _complain(
            f"{error.name} is not installed; pip install 'ophis[{_EXTRAS[error.name]}]'"
        )
    except BrokenPipeError:  # `ophis ... | head` closed its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:  # a full disk, a folder that cannot be written
        if error.filename is None:
            raise
        status = _complain(f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        status = 130
    sys.exit(status or 0)


def _prior(path: Path, species: SpeciesList, *, say: bool = True) -> Prior:
    """A prior; names of one country in it are counted together, and that is said."""
    from ophis.prior import read_prior

    prior = read_prior(path, species)
    if say:
        _say_merged(prior, path)
    return prior


def _say_merged(prior: Prior, place: str | Path) -> None:
    from ophis.tables import one_country

    for names in prior.merged():
        print(f"ophis: {place}: {one_country(names)}", file=sys.stderr)


def _presence(path: Path) -> PresenceMap:
    """A map of who lives where; names of one country or one species in it are said."""
    from ophis.presence import read_presence

    presence = read_presence(path)
    for names in presence.joined():
        print(f"ophis: {path}: one and the same: {', '.join(map(repr, names))}", file=sys.stderr)
    return presence


def _complain(line: str) -> int:
    print(f"ophis: {line}", file=sys.stderr)
    return 2


def _one_line(error: CycloptsError) -> str:
    text = " ".join(str(error).split())
    return f"{text} See `ophis --help`."


@app.command
def sample(out: Path, /, *, photos: int = 600, seed: int = 0) -> None:
    """Draw sample photos of invented snakes: drawn, not photographed.

    Args:
        out: Folder to make: photos, manifest.csv and a README.
        photos: How many photos.
        seed: The same seed draws the same photos.
    """
    from ophis.sample import draw_sample

    print(draw_sample(out, photos=photos, seed=seed))


@app.command
def collect(
    source: Path,
    /,
    *,
    out: Path,
    photos: Path | None = None,
    unpack: Path | None = None,
    synonyms: Path | None = None,
    normalise_names: Annotated[bool, Parameter(negative="")] = False,
    merge_names: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Read a table, a folder or an archive of photos and write it as one manifest.

    Args:
        source: A CSV (photo,species,country; SnakeCLEF 2020 to 2024; iNaturalist's export), a
            Parquet manifest, a folder (one subfolder a species, or Hugging Face's metadata.csv or
            metadata.jsonl), or a Darwin Core archive (.zip).
        out: The manifest to write, .csv or .parquet.
        photos: Where the photos of a table or an archive lie; by default beside the table, in the
            folder with the archive's name.
        unpack: Unpack the photos of an archive to this folder first; they then lie there.
        synonyms: A table name,accepted: each name becomes the accepted one; every change is said.
        normalise_names: Write scientific names in one way, without authors and subspecies; every
            change is said. Names that would become the same stay apart, and are said too.
        merge_names: The same, and names that become the same are one species.
    """
    from ophis import read_manifest
    from ophis.names import normalised, read_synonyms, with_synonyms
    from ophis.tables import print_counts, print_naming

    accepted = read_synonyms(synonyms) if synonyms else {}
    if unpack:
        from ophis.archive import unpack_photos

        if photos:
            raise InputError("--unpack says where the photos lie; leave --photos out")
        print(f"{unpack_photos(source, unpack):,} photos of {source} in {unpack}")
        photos = unpack
    manifest = read_manifest(source, photos=photos)
    if synonyms:
        naming = with_synonyms(manifest, accepted)
        print_naming(naming, merge=True)
        manifest = naming.apply(manifest, merge=True)
    if normalise_names or merge_names:
        naming = normalised(manifest)
        print_naming(naming, merge=merge_names)
        manifest = naming.apply(manifest, merge=merge_names)
    elif several := len(normalised(manifest).meetings):
        print(
            f"ophis: {several:,} species stand under several names; --normalise-names says which",
            file=sys.stderr,
        )
    manifest.write(out)
    print_counts(manifest)
    if missing := manifest.missing_photos():
        print(
            f"ophis: {len(missing):,} of {len(manifest):,} photos are not there, the first is"
            f" {missing[0]}",
            file=sys.stderr,
        )


@app.command
def split(
    manifest: Path,
    /,
    *,
    train: Path,
    held_out: Path,
    share: float = 0.2,
    seed: int = 0,
    photos: Path | None = None,
    near_duplicates: bool = True,
) -> None:
    """Split a manifest in two, species by species, and keep together what belongs together.

    Photos of one observation, and identical or nearly identical photos, stay on one side.

    Args:
        manifest: The manifest to split.
        train: Where to write the larger part.
        held_out: Where to write the part that is held out.
        share: Share of the photos to hold out.
        seed: The same seed splits in the same way.
        photos: Where the photos of a SnakeCLEF table lie; by default beside the table.
        near_duplicates: Look at the photos themselves for duplicates (reads every photo).
    """
    from ophis import read_manifest
    from ophis.near_duplicates import near_duplicate_groups

    whole = read_manifest(manifest, photos=photos)
    groups = near_duplicate_groups(whole) if near_duplicates else None
    rest, held = whole.split(share, seed=seed, groups=groups)
    rest.write(train)
    held.write(held_out)
    print(f"{len(rest):,} photos in {train}, {len(held):,} held out in {held_out}")


@app.command
def train(
    recipe: str,
    /,
    *,
    train: Path,
    validation: Path,
    out: Path,
    photos: Path | None = None,
    weights_folder: Path = Path(),
    device: str = "auto",
    workers: int | None = None,
) -> int:
    """Fine-tune a model by a recipe; the same command goes on where it was stopped.

    Args:
        recipe: A TOML file, or the name of a recipe that ships with ophis: demo, paper_in1k, ...
        train: Manifest of the photos to learn from.
        validation: Manifest of the photos to judge by.
        out: The run folder.
        photos: Where the photos of SnakeCLEF tables lie; by default beside the table.
        weights_folder: Where the recipe's weights file lies.
        device: auto, cpu or cuda.
        workers: Threads that read photos; by default one a processor core.
    """
    from ophis import read_manifest, read_recipe
    from ophis.train import Stopped, fit

    try:
        fit(
            read_recipe(recipe),
            train=read_manifest(train, photos=photos),
            validation=read_manifest(validation, photos=photos),
            out=out,
            weights_folder=weights_folder,
            device=device,
            workers=workers,
        )
    except Stopped as stopped:
        print(f"ophis: {stopped}", file=sys.stderr)
        return 128 + stopped.signal
    print(out)
    return 0


@app.command
def export(
    run: str,
    /,
    *,
    out: Path,
    prior: Path | None = None,
    pixels: int | None = None,
    train: Path | None = None,
    validation: Path | None = None,
    photos: Path | None = None,
) -> None:
    """Make a bundle of a trained run, to identify with, without torch.

    Args:
        run: A run folder, or `imagenet17`: the 17 kinds of snake of ImageNet, without training.
        out: The bundle folder.
        prior: What a country says, of `ophis fit-prior`; by default what wins on the run's
            validation scores.
        pixels: Show photos with so many pixels a side, instead of the recipe's test_pixels; needs
            --train and --validation, because all that was learned of such photos is learned anew.
        train: With --pixels, the manifest that the run learned from.
        validation: With --pixels, the manifest that it was judged by.
        photos: Where the photos of SnakeCLEF tables lie; by default beside the table.
    """
    from ophis import read_manifest
    from ophis.sides import PRIOR, SPECIES
    from ophis.taxa import SpeciesList
    from ophis.train import Retest, export_imagenet17
    from ophis.train import export as export_run

    if run == "imagenet17":
        if prior or pixels or train or validation:
            raise InputError("imagenet17 has no photos and no countries; give nothing but --out")
        print(export_imagenet17(out))
        return
    if not bool(pixels) == bool(train) == bool(validation):
        raise InputError("--pixels, --train and --validation belong together; give all or none")
    given = _prior(prior, SpeciesList.read(Path(run) / SPECIES)) if prior else None
    test = None
    if pixels and train and validation:
        test = Retest(pixels, *(read_manifest(path, photos=photos) for path in (train, validation)))
    bundle = export_run(run, out, prior=given, test=test)
    if not prior:  # what the run counted is what its bundle's own prior is made of
        _prior(Path(run) / PRIOR, SpeciesList.read(Path(run) / SPECIES))
    print(bundle)


@app.command
def combine(
    bundles: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    validation: Path,
    out: Path,
    flip: Annotated[bool, Parameter(negative="")] = False,
    crops: Annotated[bool, Parameter(negative="")] = False,
    photos: Path | None = None,
    json: Json = False,
) -> None:
    """Make a bundle that asks several bundles, or shows each photo several times.

    Prints what each bundle by itself, and all together, are worth and cost on those photos.

    Args:
        bundles: Bundle folders of the same species; one is enough with --flip or --crops.
        validation: Manifest of labelled photos that no bundle learned from: what the combination is
            calibrated with, and what its promises are made on.
        out: The bundle folder to write.
        flip: Show each photo mirrored too.
        crops: Show its four corners, closer up, too.
        photos: Where the photos of a SnakeCLEF table lie; by default beside the table.
        json: One JSON list with all figures.
    """
    from ophis import read_manifest
    from ophis.combination import combine as combine_bundles
    from ophis.tables import bar, print_worth

    rows = read_manifest(validation, photos=photos)
    with bar(len(rows) * len(bundles) * (2 if flip or crops else 1)) as advance:
        worth = combine_bundles(
            bundles, out, validation=rows, flip=flip, crops=crops, progress=advance
        )
    print_worth(worth, json=json)
    if not json:
        print(out)


@app.command
def identify(
    bundle: str,
    photos: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    country: str | None = None,
    gps: Annotated[bool, Parameter(negative="")] = False,
    one_snake: Annotated[bool, Parameter(negative="")] = False,
    top: int = 5,
    language: str = "en",
    json: Json = False,
) -> int:
    """Name the snake in each photo.

    A photo that cannot be used is listed, and the others are answered; exit status 1.

    Args:
        bundle: A bundle folder, or `imagenet17`.
        photos: Photos; several are answered one by one.
        one_snake: The photos show the same snake: give one answer to all of them together.
        country: Where the photos were taken: a name or an ISO code.
        gps: Without --country, take the country from each photo's own position, if it has one.
        top: How many species to name.
        language: What the answer is written in: en or es.
        json: One JSON object a photo and line.
    """
    from ophis.answer_text import print_answer
    from ophis.ready import load_by_name
    from ophis.words import read_words

    read_words(language)  # a wrong one is refused before the bundle is loaded
    classifier = load_by_name(bundle)
    failed = 0
    for number, snake in enumerate([photos] if one_snake else photos):
        try:
            answer = classifier.identify(
                snake, country=country, gps=gps, top=top, language=language
            )
        except NoPhotoError as error:
            answer = classifier.without_photo(error.failures, country=country, language=language)
        for failure in answer.failures:
            print(f"ophis: {failure.reason}", file=sys.stderr)
        failed += len(answer.failures)
        if number and not json:
            print()
        print_answer(answer, json=json)
    return 1 if failed else 0


@app.command
def score(
    bundle: str,
    manifest: Path,
    /,
    *,
    out: Path,
    photos: Path | None = None,
    flip: Annotated[bool, Parameter(negative="")] = False,
    crops: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Score every photo of a manifest and write the logits to a scores file.

    Args:
        bundle: A bundle folder, or `imagenet17`.
        manifest: The photos.
        out: The scores file to write, .npz.
        photos: Where the photos of a SnakeCLEF table lie; by default beside the table.
        flip: Show each photo mirrored too, whatever the bundle says of views.
        crops: Show its four corners, closer up, too.
    """
    from ophis import read_manifest
    from ophis.ready import load_by_name
    from ophis.tables import bar
    from ophis.views import views

    rows, classifier = read_manifest(manifest, photos=photos), load_by_name(bundle)
    seen = views(flip=flip, crops=crops) if flip or crops else None
    with bar(len(rows) * len(classifier.networks)) as advance:
        scores = classifier.score(rows, views=seen, progress=advance)
    scores.write(out)
    for failure in scores.failures:
        print(f"ophis: {failure.reason}", file=sys.stderr)
    print(f"{len(scores):,} photos scored, {len(scores.failures):,} could not be read: {out}")
    return 1 if scores.failures else 0


@app.command
def evaluate(
    scores: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    prior: Path | None = None,
    metric: Annotated[list[str] | None, Parameter(negative="")] = None,
    presence: Path | None = None,
    venomous: Path | None = None,
    reliability: Annotated[bool, Parameter(negative="")] = False,
    others: Path | None = None,
    together: Annotated[bool, Parameter(negative="")] = False,
    by_observation: Annotated[bool, Parameter(negative="")] = False,
    figures: Path | None = None,
    json: Json = False,
) -> None:
    """Print the paper's table: top-1, top-5, macro F1, without and with the country.

    Args:
        scores: Scores files of `ophis score` or of run folders.
        prior: A prior of `ophis fit-prior`; adds a row with the country for each file.
        metric: An official score too: snakeclef2020, 2021, 2022, snakeclef2023-track1 or -track2,
            snakeclef2024-track1 or -track2. May be given several times.
        presence: For snakeclef2021, the organisers' map: a row a species, a column a country.
        venomous: From 2023 on, the organisers' table `species,...,mivs`; by default all count
            that ophis does not call "not known to be dangerous".
        reliability: Log loss, Brier score and calibration errors too.
        others: Scores, by the same model, of photos without snakes: how many are refused when 90 %
            of the snakes pass, and the area under the ROC curve with its 95 % interval.
        together: A row for all scores files as one ensemble too: the mean of their logits.
        by_observation: Judge observations: the photos of each are fused into one answer.
        figures: Folder for a reliability plot and the curve of risk and coverage, each as SVG, and
            as CSV with its numbers.
        json: One JSON object with all figures.
    """
    from ophis import evaluate as judge
    from ophis import read_scores
    from ophis.averages import ensemble, fused
    from ophis.calibration import reliability as how_reliable
    from ophis.novelty import separation
    from ophis.official import dangerous, official
    from ophis.sides import distinct_names
    from ophis.tables import print_evaluations

    rows, more, drawn = {}, {}, {}
    scores = list(dict.fromkeys(scores))
    short = dict(zip(map(str, scores), distinct_names(*scores), strict=True))
    things = read_scores(others) if others else None
    lists = _presence(presence) if presence else None
    sides = {str(path): read_scores(path) for path in scores}
    if together:
        sides["together"] = ensemble(list(sides.values()), list(sides))
    for name, side in sides.items():
        alone = fused(side) if by_observation else side
        judged = {False: alone}
        if prior:
            judged[True] = _prior(prior, alone.species, say=not rows).adjust(alone)
        for country, logits in judged.items():
            rows[name, country] = judge(logits)
            more[name, country] = {
                wanted: official(
                    wanted, logits, presence=lists, venomous=dangerous(logits.species, venomous)
                )
                for wanted in metric or ()
            }
            if reliability:
                more[name, country] |= how_reliable(logits).as_dict()
            if things:  # the country does not change how strange a photo is
                more[name, country] |= separation(alone, things).as_dict()
            if figures:
                drawn[short.get(name, name), country] = logits
    pictures = _drawn(drawn, figures) if figures else []
    print_evaluations(rows, more, json=json)
    for picture in () if json else pictures:
        print(picture)


def _drawn(judged: Mapping[tuple[str, bool], Scores], folder: Path) -> list[Path]:
    from ophis.report.curves import reliability_plot, risk_coverage_plot
    from ophis.report.figures import write

    return write([reliability_plot(judged), risk_coverage_plot(judged)], folder)


@app.command
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
    """
    from ophis import read_scores
    from ophis.official import dangerous
    from ophis.submission import (
        read_class_ids,
        read_species,
        with_unread,
        write_answers,
        write_probabilities,
    )

    columns = read_species(species) if species else None
    if aicrowd is not None:
        if scores or style or out or prior or classes or least_cost or venomous:
            raise InputError("--aicrowd takes nothing but --species; the machine says the rest")
        return _answer_hidden_test(aicrowd, columns)
    if not (scores and style and out):
        raise InputError("give a scores file, --style and --out; or --aicrowd BUNDLE")
    whole = read_scores(scores)
    said = with_unread(whole) if style == "aicrowd2020" else whole
    if prior:
        said = _prior(prior, said.species).adjust(said)
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
    for failure in whole.failures:
        print(f"ophis: {failure.reason}", file=sys.stderr)
    print(out)
    return 1 if whole.failures else 0


def _answer_hidden_test(bundle: str, species: SpeciesList | None) -> int:
    from ophis.aicrowd import predict, read_place
    from ophis.ready import load_by_name
    from ophis.tables import bar

    test, classifier = read_place(), load_by_name(bundle)
    if classifier.bundle.prior:
        _say_merged(classifier.bundle.prior, bundle)
    with bar(None) as advance:
        done = predict(classifier, test, species=species, progress=advance)
    for failure in done.unread:
        print(f"ophis: {failure.reason}", file=sys.stderr)
    for name in done.no_countries:
        print(f"ophis: {test.metadata}: no country is called {name!r}: UNKNOWN", file=sys.stderr)
    print(
        f"{done.photos:,} photos, {len(done.unread):,} of them by their country only: {done.path}"
    )
    return 1 if done.unread else 0


@app.command
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
    from ophis.submission import read_class_ids, read_species
    from ophis.submission_check import check_submission as check
    from ophis.tables import print_checked

    done = check(
        file,
        species=read_species(species) if species else None,
        classes=frozenset(read_class_ids(classes).values()) if classes else None,
        against=against,
        tolerance=tolerance,
    )
    print_checked(done, json=json)
    return 1 if done.problems else 0


@app.command
def compare(
    a: Path,
    b: Path,
    /,
    *,
    out: Path,
    photos: Path | None = None,
    maps: Literal["gradient", "smoothgrad", "grad-cam"] = "gradient",
    json: Json = False,
) -> None:
    """Compare two models on the same photos and write a report: one HTML file.

    Args:
        a: Model A: a scores file, or a run folder.
        b: Model B.
        out: The report to write, .html; figures go beside it as SVG and CSV.
        photos: Manifest of the photos: the report shows them and, of two runs, where each looks.
        maps: How that is found: gradient, smoothgrad or grad-cam.
        json: One JSON object with all figures.
    """
    from ophis import read_manifest
    from ophis.sides import distinct_names, read_side
    from ophis.study import write_comparison
    from ophis.tables import print_comparison

    names = distinct_names(a, b)
    sides = [read_side(path, name=name) for path, name in zip((a, b), names, strict=True)]
    manifest = read_manifest(photos) if photos else None
    comparison = write_comparison(sides[0], sides[1], out, photos=manifest, method=maps)
    print_comparison(comparison, json=json)
    if not json:
        print(out)


@app.command
def study(
    recipe_a: str,
    recipe_b: str,
    /,
    *,
    train: Path,
    validation: Path,
    out: Path,
    photos: Path | None = None,
    weights_folder: Path = Path(),
    device: str = "auto",
    workers: int | None = None,
) -> int:
    """The paper's experiment: train two recipes on the same photos, judge, compare, explain.

    The same command goes on where it was stopped.

    Args:
        recipe_a: Model A: a TOML file, or the name of a recipe that ships with ophis.
        recipe_b: Model B.
        train: Manifest of the photos to learn from.
        validation: Manifest of the photos to judge by.
        out: The folder for everything: both runs, manifests, prior, report.
        photos: Where the photos of SnakeCLEF tables lie; by default beside the table.
        weights_folder: Where the recipes' weights files lie.
        device: auto, cpu or cuda.
        workers: Threads that read photos; by default one a processor core.
    """
    from ophis import read_manifest
    from ophis.study import study as run_study
    from ophis.train import Stopped

    try:
        report = run_study(
            (recipe_a, recipe_b),
            train=read_manifest(train, photos=photos),
            validation=read_manifest(validation, photos=photos),
            out=out,
            weights_folder=weights_folder,
            device=device,
            workers=workers,
        )
    except Stopped as stopped:
        print(f"ophis: {stopped}", file=sys.stderr)
        return 128 + stopped.signal
    print(report)
    return 0


@app.command
def fit_prior(
    manifest: Path,
    /,
    *,
    out: Path,
    photos: Path | None = None,
    validation: Path | None = None,
    presence: Path | None = None,
    rules: Path | None = None,
) -> None:
    """Learn what a country says of the species.

    To a .csv goes p(species | country), the paper's Eq. 1. To a .toml goes what wins on validation
    scores: Bayes' rule with smoothed p(species | country), lists of presence, or neither.

    Args:
        manifest: The training photos.
        out: The prior to write, .csv or .toml; tables that belong to a .toml go beside it.
        photos: Where the photos of a SnakeCLEF table lie; by default beside the table.
        validation: Scores of photos that are neither trained on nor judged by, to choose with: half
            of them, the same half as `ophis export` takes; it promises on the others.
        presence: Which species lives where: a row a species, a column a country, 1 and 0.
        rules: What you know better: country,species,probability (0 excludes, `add` adds).
    """
    from ophis import CountryPrior, read_manifest, read_scores
    from ophis.bayes import BayesPrior, choose_prior
    from ophis.decision import halves
    from ophis.rules import read_rules
    from ophis.tables import one_country, print_choice

    if out.suffix != ".toml" and (validation or presence or rules):
        raise InputError(f"{out}: --validation, --presence and --rules need a prior in .toml")
    scores = read_scores(validation) if validation else None
    # On the others the export of the run makes its promises: they must not have been fitted on.
    fitting, _ = halves(scores) if scores is not None else (None, None)
    if fitting is not None and not (fitting.truth >= 0).any():
        raise InputError(
            f"{validation}: in the half to choose with no species is known; add photos"
        )
    rows = read_manifest(manifest, photos=photos)
    try:
        counts = CountryPrior.fit(rows, species=scores.species if scores else None)
    except InputError as error:
        raise InputError(f"{manifest}: {error}") from None
    print(f"{len(counts.countries):,} countries, {len(counts.species):,} species")
    for names in counts.merged():
        print(one_country(names))
    if out.suffix != ".toml":
        counts.write(out)
        print(out)
        return
    lists = _presence(presence) if presence else None
    known_better = read_rules(rules) if rules else ()
    if scores and fitting:
        print(f"chosen on {len(fitting):,} of {len(scores):,} photos, the rest is for promises")
        choice = choose_prior(counts, fitting, presence=lists, rules=known_better)
        print_choice(choice)
        prior = choice.prior
    else:
        prior = BayesPrior(counts, presence=lists, rules=known_better)
    if prior is None:
        print("the image alone wins: no prior is written; leave --prior out")
        return
    prior.write(out)
    print(out)


@app.command
def serve(bundle: str, /, *, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Answer over HTTP: POST /identify, GET /species, GET /health.

    Args:
        bundle: A bundle folder, or `imagenet17`.
        host: The address to listen at; by default only this machine can ask.
        port: The port to listen at.
    """
    try:
        import uvicorn

        from ophis.serve import create_app
    except ImportError as error:
        raise InputError(f"{error}; pip install 'ophis[serve]'") from None
    from ophis.ready import load_by_name

    uvicorn.run(create_app(load_by_name(bundle)), host=host, port=port, log_level="warning")


@app.command
def demo(*, out: Path = Path("demo"), photos: int = 600, seed: int = 0) -> None:
    """The whole way on drawn photos: two models, the paper's table, a bundle, a named snake.

    Args:
        out: Folder to make.
        photos: How many photos to draw.
        seed: Of the drawing and of the split.
    """
    from ophis.demo import run_demo

    run_demo(out, photos=photos, seed=seed)
