"""Commands of evaluation: evaluate, compare, study, card."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ophis.cli.options import (
    FollowLinks,
    Json,
    Named,
    Whole,
    as_typed,
    print_merged_countries,
    read_photos_option,
    read_range_map_option,
)
from ophis.cli.outcome import finish_training
from ophis.cli.terminal.streams import print_json
from ophis.errors import InputError
from ophis.files.overlap import refuse_overlap


def evaluate(
    *scores: Annotated[Path, Parameter(required=True)],
    prior: Path | None = None,
    metric: Annotated[list[str] | None, Parameter(negative="")] = None,
    range_map: Path | None = None,
    venomous: Path | None = None,
    reliability: Annotated[bool, Parameter(negative="")] = False,
    ood_scores: Path | None = None,
    ensemble: Annotated[bool, Parameter(negative="")] = False,
    by_observation: Annotated[bool, Parameter(negative="")] = False,
    intervals: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    json: Json = False,
) -> None:
    """Print the paper's table: top-1, top-5 and macro F1, without and with the country.

    Logits of large files are read in blocks. All logits of a file are in memory for --ensemble,
    --by-observation and each --metric of observations (2022 and later), and with --prior also for
    every --metric and --out.

    Args:
        scores: Scores files of `ophis score` or of run folders.
        prior: A prior of `ophis fit-prior`; adds a row with the country for each file.
        metric: Add a SnakeCLEF metric: snakeclef2020, 2021, 2022, snakeclef2023-track1 or -track2,
            snakeclef2024-track1 or -track2. May be given several times.
        range_map: For snakeclef2021, the organisers' map: a row for each species, a column for each
            country.
        venomous: From 2023 on, the organisers' table `species,...,mivs`: only species with `mivs` 1
            count as venomous; needed for the official figure. By default every species is
            venomous except those that ophis calls "not known to be dangerous".
        reliability: Add log loss, Brier score and calibration errors.
        ood_scores: Scores, by the same model, of photos without snakes. Adds the fraction of them
            that is rejected when 90 % of the snakes pass, and the area under the ROC curve with its
            95 % interval.
        ensemble: Add a row for the ensemble of all files: the mean of their logits.
        by_observation: Aggregate the photos of each observation before the evaluation.
        intervals: Add 95 % intervals to top-1, top-5, macro F1 and the SnakeCLEF metrics, by a
            jackknife over observations.
        out: Folder for a reliability plot and a plot of risk and coverage, each as SVG, and as CSV
            with its numbers.
        json: One JSON object with all results.
    """
    from ophis.cli.terminal.progress import waiting
    from ophis.cli.terminal.tables import print_evaluation_table
    from ophis.evaluation.table import evaluate_files

    inputs = (*scores, prior, range_map, venomous, ood_scores)
    refuse_overlap(inputs, folders=[out] if out else ())
    with waiting("evaluating"):
        table = evaluate_files(
            scores,
            prior=prior,
            metrics=metric or (),
            range_map=read_range_map_option(range_map) if range_map else None,
            venomous=venomous,
            reliability=reliability,
            ood_scores=ood_scores,
            ensemble=ensemble,
            by_observation=by_observation,
            intervals=intervals,
            out=out,
        )
    print_merged_countries(table.merged_countries, prior)
    print_evaluation_table(table, json=json)


def compare(
    a: Path,
    b: Path,
    /,
    *,
    out: Path,
    manifest: Path | None = None,
    follow_links: FollowLinks = False,
    maps: Literal["gradient", "smoothgrad", "grad-cam"] = "gradient",
    records: Path | None = None,
    json: Json = False,
) -> None:
    """Compare two models on the same photos and write an HTML report.

    Args:
        a: Model A: a scores file or a run folder.
        b: Model B: a scores file or a run folder.
        out: The report, .html; its figures are written next to it as SVG and CSV.
        manifest: Manifest of the photos, to show them; for two run folders with saliency maps.
        follow_links: Read photos that links or a column `folder` put elsewhere; for your own files.
        maps: Method of the saliency maps: gradient, smoothgrad or grad-cam.
        records: Occurrence records, as of `ophis species-map`: the report gets maps of the species
            of which the models differ most.
        json: One JSON object with all results.
    """
    from ophis.cli.terminal.progress import waiting
    from ophis.cli.terminal.tables import print_comparison
    from ophis.datasets.occurrences.occurrences import read_occurrences
    from ophis.evaluation.report.comparison_report import write_comparison
    from ophis.evaluation.run import distinct_names, read_scored_run

    figures = out.with_name(f"{out.stem}-figures")
    files = [out, out.with_suffix(".json")] if out.suffix == ".html" else [out]
    refuse_overlap((a, b, manifest, records), files=files, folders=[figures])
    names = distinct_names(a, b)
    runs = [read_scored_run(path, name=name) for path, name in zip((a, b), names, strict=True)]
    photos = None
    if manifest:
        photos = read_photos_option(
            manifest, None, follow_links=follow_links, named="`ophis collect --photos`"
        )
    explain, (folder_a, folder_b) = None, (run.folder for run in runs)
    if photos is not None and folder_a and folder_b:
        from ophis.train.explain import explain_runs

        explain = explain_runs((folder_a, folder_b), photos, method=maps)
    with waiting("comparing the models"):
        known = read_occurrences(records) if records else None
        comparison = write_comparison(*runs, out, photos=photos, explain=explain, records=known)
    print_comparison(comparison, json=json)
    if not json:
        print(out)


def study(
    recipe_a: str,
    recipe_b: str,
    /,
    *,
    train: Path,
    validation: Path,
    out: Path,
    photos: Path | None = None,
    follow_links: FollowLinks = False,
    weights_folder: Path = Path(),
    device: str = "auto",
    workers: Whole | None = None,
    compile: Annotated[bool, Parameter(negative="")] = False,  # noqa: A002 - torch's word
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Run the paper's experiment: train two recipes on the same photos, evaluate and compare them.

    The same command resumes after a stop.

    Args:
        recipe_a: Model A: a TOML file, or the name of a recipe that ships with ophis.
        recipe_b: Model B: a TOML file, or the name of a recipe that ships with ophis.
        train: Manifest of the training photos.
        validation: Manifest of the validation photos.
        out: The folder of both runs, the manifests, the prior and the report.
        photos: Folder of the photos of SnakeCLEF tables; by default that of the table.
        follow_links: Read photos that links or a column `folder` put elsewhere; for your own files.
        weights_folder: Folder of the recipes' weights files.
        device: auto, cpu or cuda.
        workers: Threads that read photos; by default one for each CPU core.
        compile: Run the training steps through torch.compile; needs a CUDA device.
        skip_bad: Train without the photos that cannot be used, instead of ending with an error.
        json: One JSON object: the report, and the results of the comparison.
    """
    from ophis.train import study as run_study

    written = [out / f"{name}.csv" for name in ("train", "validation", "prior")]
    refuse_overlap((recipe_a, recipe_b, train, validation, photos), files=written, folders=[out])
    return finish_training(
        lambda progress: run_study(
            (recipe_a, recipe_b),
            train=read_photos_option(train, photos, follow_links=follow_links),
            validation=read_photos_option(validation, photos, follow_links=follow_links),
            out=out,
            weights_folder=weights_folder,
            device=device,
            workers=workers,
            compile=compile,
            skip_bad=skip_bad,
            progress=progress,
        ),
        facts=lambda report: {"report": report, "comparison": _results_of(report)},
        json=json,
    )


def species_map(
    records: Path,
    species: str,
    /,
    *,
    out: Path,
    json: Json = False,
) -> None:
    """Draw a map of the records of a species, and their density, as an SVG file.

    Args:
        records: Records as of `ophis fit-prior --occurrences`: species,latitude,longitude; GBIF's
            download; a Darwin Core archive; iNaturalist's export.
        species: Scientific name.
        out: The map to write, .svg; it has a light and a dark scheme.
        json: Print one JSON object: species and records in the file, dropped rows by reason.
    """
    from ophis.cli.terminal.progress import waiting
    from ophis.datasets.occurrences.occurrences import read_occurrences
    from ophis.evaluation.report.species_map import write_species_map

    refuse_overlap([records], files=[out])
    with waiting(f"reading {records}"):
        occurrences = read_occurrences(records)
    write_species_map(occurrences, species, out)
    if json:
        facts = {"map": out, "species": len(occurrences.species), "records": len(occurrences)}
        print_json(facts | {"dropped": dict(occurrences.dropped)})
    else:
        print(out)


def _results_of(report: Path) -> dict[str, Any]:
    """Read the JSON file of a report."""
    return json_format.loads(report.with_suffix(".json").read_text(encoding="utf-8"))


def card(
    bundle: Named,
    /,
    *,
    scores: Path | None = None,
    license: str | None = None,  # noqa: A002 - the Hub's word
    write: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Print the model card of a bundle, for people and for the Hugging Face Hub.

    Args:
        bundle: A bundle folder, `imagenet17`, or hf://owner/name.
        scores: A run folder, or scores of this bundle on photos that it did not learn from, to take
            the evaluation results from instead of the bundle.
        license: Licence of the weights, as the Hub writes it: cc-by-4.0, apache-2.0.
        write: Write the card into the bundle as README.md, which changes the bundle's version.
        json: One JSON object with all evaluation results.
    """
    from dataclasses import asdict

    from ophis.cli.terminal.progress import waiting
    from ophis.evaluation.run import read_scored_run
    from ophis.inference.bundles.hub import SCHEME
    from ophis.inference.bundles.model_card import card as card_of
    from ophis.inference.bundles.registry import bundle_folder

    if write and as_typed(bundle).startswith(SCHEME):
        raise InputError(f"{bundle}: --write is for a bundle folder of your own; leave it out")
    with waiting("evaluating"):
        run = read_scored_run(scores) if scores else None
        found = card_of(bundle_folder(as_typed(bundle)), run=run, license=license, write=write)
    if json:
        facts = {"bundle": found.folder, "version": found.version, **asdict(found.results)}
        print_json(facts)
    else:
        print(f"{found.folder}: bundle {found.version}" if write else found.text)
