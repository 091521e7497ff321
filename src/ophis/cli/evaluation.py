"""Verbs about figures: how good models are, and which is better where."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ophis.cli.options import Json, print_merged_countries, read_range_map_option
from ophis.cli.outcome import finish_training
from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ophis.priors.prior import Prior
    from ophis.scores.scores import Scores
    from ophis.taxonomy.species_list import SpeciesList


def evaluate(
    scores: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    prior: Path | None = None,
    metric: Annotated[list[str] | None, Parameter(negative="")] = None,
    range_map: Path | None = None,
    venomous: Path | None = None,
    reliability: Annotated[bool, Parameter(negative="")] = False,
    ood_scores: Path | None = None,
    ensemble: Annotated[bool, Parameter(negative="")] = False,
    by_observation: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    json: Json = False,
) -> None:
    """Print the paper's table: top-1, top-5, macro F1, without and with the country.

    Logits of large files are read some rows at a time, whatever their number. In memory come those
    of --ensemble, --by-observation and the --metric of observations (2022 and later), and with
    --prior also those of --metric and --out.

    Args:
        scores: Scores files of `ophis score` or of run folders.
        prior: A prior of `ophis fit-prior`; adds a row with the country for each file.
        metric: An official score too: snakeclef2020, 2021, 2022, snakeclef2023-track1 or -track2,
            snakeclef2024-track1 or -track2. May be given several times.
        range_map: For snakeclef2021, the organisers' map: a row a species, a column a country.
        venomous: From 2023 on, the organisers' table `species,...,mivs`; by default all count
            that ophis does not call "not known to be dangerous".
        reliability: Log loss, Brier score and calibration errors too.
        ood_scores: Scores, by the same model, of photos without snakes: how many are refused when
            90 % of the snakes pass, and the area under the ROC curve with its 95 % interval.
        ensemble: A row for all scores files as one ensemble too: the mean of their logits.
        by_observation: Judge observations: the photos of each are aggregated into one answer.
        out: Folder for a reliability plot and the curve of risk and coverage, each as SVG, and
            as CSV with its numbers.
        json: One JSON object with all figures.
    """
    from ophis import evaluate as judge
    from ophis import read_scores
    from ophis.cli.terminal.progress import waiting
    from ophis.cli.terminal.tables import evaluations_of, print_evaluations, print_json
    from ophis.decision.calibration import reliability as how_reliable
    from ophis.decision.out_of_distribution import ood_detection
    from ophis.evaluation.run import distinct_names
    from ophis.evaluation.snakeclef_metrics import snakeclef_metric
    from ophis.scores.aggregation import aggregate_observations
    from ophis.taxonomy.danger import dangerous

    rows, more, drawn = {}, {}, {}
    scores = list(dict.fromkeys(scores))
    short = dict(zip(map(str, scores), distinct_names(*scores), strict=True))
    things = read_scores(ood_scores) if ood_scores else None
    lists = read_range_map_option(range_map) if range_map else None
    if ood_scores and (ensemble or by_observation):
        raise InputError(
            "--ood-scores is photo by photo; leave it out, or --ensemble and --by-observation"
        )
    with waiting("judging"):
        for name, side in _sides(scores, ensemble=ensemble):
            alone = aggregate_observations(side) if by_observation else side
            weights = _prior_of(prior, alone.species, quiet=bool(rows)) if prior else None
            for country in (False, True) if weights else (False,):
                logits, weight = alone, weights if country else None
                if weight and (metric or out):  # they want all logits at once
                    logits, weight = weight.adjust(alone), None
                rows[name, country] = judge(logits, prior=weight)
                more[name, country] = {
                    wanted: snakeclef_metric(
                        wanted,
                        logits,
                        range_map=lists,
                        venomous=dangerous(logits.species, venomous),
                    )
                    for wanted in metric or ()
                }
                if reliability:
                    more[name, country] |= how_reliable(logits, prior=weight).as_dict()
                if things:  # the country does not change how strange a photo is
                    more[name, country] |= ood_detection(alone, things).as_dict()
                if out:
                    drawn[short.get(name, name), country] = logits
    pictures = _drawn(drawn, out) if out else []
    if json:
        print_json({"evaluations": evaluations_of(rows, more), "figures": pictures})
        return
    print_evaluations(rows, more)
    for picture in pictures:
        print(picture)


def _sides(paths: list[Path], *, ensemble: bool) -> Iterator[tuple[str, Scores]]:
    """The scores of each file, one file after the other; the ensemble, last, all as one."""
    from ophis import read_scores
    from ophis.scores.ensemble import ensemble as ensemble_of

    if ensemble and Path("ensemble") in paths:
        raise InputError("the scores file 'ensemble' has the name of the ensemble; rename it")
    kept: dict[str, Scores] = {}
    for path in paths:
        side = read_scores(path)
        if ensemble:
            kept[str(path)] = side
        yield str(path), side
    if ensemble:
        yield "ensemble", ensemble_of(list(kept.values()), list(kept))


def _prior_of(path: Path, species: SpeciesList, *, quiet: bool) -> Prior:
    from ophis import read_prior

    prior = read_prior(path, species)
    if not quiet:
        print_merged_countries(prior.merged(), path)
    return prior


def _drawn(judged: Mapping[tuple[str, bool], Scores], folder: Path) -> list[Path]:
    from ophis.evaluation.report.figure import write_figures
    from ophis.evaluation.report.reliability_figures import reliability_plot, risk_coverage_plot

    return write_figures([reliability_plot(judged), risk_coverage_plot(judged)], folder)


def compare(
    a: Path,
    b: Path,
    /,
    *,
    out: Path,
    manifest: Path | None = None,
    maps: Literal["gradient", "smoothgrad", "grad-cam"] = "gradient",
    json: Json = False,
) -> None:
    """Compare two models on the same photos and write a report: one HTML file.

    Args:
        a: Model A: a scores file, or a run folder.
        b: Model B.
        out: The report to write, .html; figures go beside it as SVG and CSV.
        manifest: Manifest of the photos: the report shows them and, of two runs, where each looks.
        maps: How that is found: gradient, smoothgrad or grad-cam.
        json: One JSON object with all figures.
    """
    from ophis import read_manifest
    from ophis.cli.terminal.progress import waiting
    from ophis.cli.terminal.tables import print_comparison
    from ophis.evaluation.report.comparison_report import write_comparison
    from ophis.evaluation.run import distinct_names, read_scored_run

    names = distinct_names(a, b)
    sides = [read_scored_run(path, name=name) for path, name in zip((a, b), names, strict=True)]
    photos = read_manifest(manifest) if manifest else None
    explain, (folder_a, folder_b) = None, (side.folder for side in sides)
    if photos is not None and folder_a and folder_b:
        from ophis.train.explain import explain_runs

        explain = explain_runs((folder_a, folder_b), photos, method=maps)
    with waiting("comparing, and drawing the report"):
        comparison = write_comparison(sides[0], sides[1], out, photos=photos, explain=explain)
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
    weights_folder: Path = Path(),
    device: str = "auto",
    workers: int | None = None,
    compile: Annotated[bool, Parameter(negative="")] = False,  # noqa: A002 - torch's word
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
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
        workers: Threads that read photos; by default one for each CPU core.
        compile: Run the training steps through torch.compile; needs a CUDA device.
        skip_bad: Train without the photos that cannot be used, instead of refusing to begin.
        json: One JSON object: the report, and the comparison in figures.
    """
    from ophis import read_manifest
    from ophis.train import study as run_study

    return finish_training(
        lambda progress: run_study(
            (recipe_a, recipe_b),
            train=read_manifest(train, photos=photos),
            validation=read_manifest(validation, photos=photos),
            out=out,
            weights_folder=weights_folder,
            device=device,
            workers=workers,
            compile=compile,
            skip_bad=skip_bad,
            progress=progress,
        ),
        facts=lambda report: {"report": report, "comparison": _figures_beside(report)},
        json=json,
    )


def _figures_beside(report: Path) -> dict[str, Any]:
    """What the report says, as its JSON has it."""
    return json_format.loads(report.with_suffix(".json").read_text(encoding="utf-8"))
