"""Commands for models: train, export, quantise, combine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ophis.cli.options import (
    DANGER_CONFIDENCE,
    FollowLinks,
    Json,
    TtaKinds,
    Whole,
    confidence_option,
    read_photos_option,
    read_prior_option,
)
from ophis.cli.outcome import finish, finish_training
from ophis.errors import InputError
from ophis.files.overlap import refuse_overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.inference.bundles.card_sections import MemberResult
    from ophis.train.export import Retest


def train(
    recipe: str,
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
    save_every: float = 300,
    check_photos: bool = True,
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Fine-tune a model by a recipe; after a stop the same command goes on.

    Args:
        recipe: A TOML file, or the name of a recipe that ships with ophis: demo, paper_in1k, ...
        train: Manifest of the photos to learn from.
        validation: Manifest of the photos to evaluate on; copies of training photos count as bad.
        out: The run folder.
        photos: Folder of the photos of SnakeCLEF tables; by default that of the table.
        follow_links: Read photos that links or a column `folder` put elsewhere; for your own files.
        weights_folder: Folder of the recipe's weights file.
        device: auto, cpu or cuda.
        workers: Threads that read photos; by default one for each CPU core.
        compile: Run the training steps through torch.compile; needs a CUDA device.
        save_every: Seconds between checkpoints, the most work that a killed process loses.
        check_photos: Decode every photo before the first step, and record the results in the run
            folder; without it files are only read, and a bad photo stops the run at its step.
        skip_bad: Train without the photos that cannot be used, and list them in the run folder's
            skipped.csv, instead of refusing to begin.
        json: One JSON object: the run folder, and its metrics on the validation photos.
    """
    from ophis import read_recipe
    from ophis.train import fit

    refuse_overlap((recipe, train, validation, photos), folders=[out])
    return finish_training(
        lambda progress: fit(
            read_recipe(recipe),
            train=read_photos_option(train, photos, follow_links=follow_links),
            validation=read_photos_option(validation, photos, follow_links=follow_links),
            out=out,
            weights_folder=weights_folder,
            device=device,
            workers=workers,
            compile=compile,
            save_every_seconds=save_every,
            check_photos=check_photos,
            skip_bad=skip_bad,
            progress=progress,
        ),
        facts=_run_facts,
        json=json,
    )


def _run_facts(folder: Path) -> dict[str, Any]:
    """Return the metrics of a finished run, and the number of photos left out."""
    from ophis import evaluate, read_scores
    from ophis.evaluation.run import SCORES
    from ophis.train.photo_check import read_skipped

    return {
        "run": folder,
        "validation": evaluate(read_scores(folder / SCORES)).as_dict(),
        "skipped": {part: len(photos) for part, photos in read_skipped(folder).items()},
    }


def export(
    run: str,
    /,
    *,
    out: Path,
    prior: Path | None = None,
    pixels: Whole | None = None,
    train: Path | None = None,
    validation: Path | None = None,
    photos: Path | None = None,
    follow_links: FollowLinks = False,
    danger_confidence: float = DANGER_CONFIDENCE,
    weights: bool = True,
    json: Json = False,
) -> int:
    """Write the bundle of a trained run, which identifies without torch.

    Args:
        run: A run folder, or `imagenet17`: the 17 snake classes of ImageNet, without training.
        out: The bundle folder.
        prior: A prior of `ophis fit-prior`; by default the best on the run's validation scores.
        pixels: Resize photos to this many pixels a side, instead of the recipe's test_pixels; needs
            --train and --validation, because calibration, prior and guarantees are fitted again.
        train: With --pixels, the training manifest of the run.
        validation: With --pixels, the validation manifest of the run.
        photos: Folder of the photos of SnakeCLEF tables; by default that of the table.
        follow_links: Read photos that links or a column `folder` put elsewhere; for your own files.
        danger_confidence: Probability that this bundle keeps the warning for 99 % of dangerous
            snakes, above 0 and below 1; 0: bundles do so on average, which needs 99 such snakes
            in the half of the validation photos for guarantees instead of 299.
        weights: Write the torch weights too (model.safetensors), for timm, for the Hugging Face Hub
            and for further training: half of the folder, not needed to identify.
        json: One JSON object: the bundle, its version, and whether it was evaluated on photos.
    """
    from ophis.cli.terminal.progress import waiting
    from ophis.evaluation.run import PRIOR, SPECIES
    from ophis.taxonomy.species_list import SpeciesList
    from ophis.train.export import export as export_run

    # A bundle that was there is replaced, and with it a prior in it.
    lost = [out / prior.name] if prior else ()
    refuse_overlap((run, prior, train, validation, photos), files=lost, folders=[out])
    given = read_prior_option(prior, SpeciesList.read(Path(run) / SPECIES)) if prior else None
    retest = _read_retest(pixels, train, validation, photos, follow_links=follow_links)
    with waiting("writing the bundle, and comparing it with torch"):
        export_run(
            run,
            out,
            prior=given,
            retest=retest,
            danger_confidence=confidence_option(danger_confidence),
            weights=weights,
        )
    if not prior and (counts := Path(run) / PRIOR).is_file():
        read_prior_option(counts, SpeciesList.read(Path(run) / SPECIES))
    return finish(out, _bundle_facts(out), json=json)


def _read_retest(
    pixels: int | None,
    train: Path | None,
    validation: Path | None,
    photos: Path | None,
    *,
    follow_links: bool,
) -> Retest | None:
    from ophis.train.export import Retest

    if pixels is None and train is None and validation is None:
        return None
    if pixels is None or train is None or validation is None:
        raise InputError("--pixels, --train and --validation belong together; give all or none")
    parts = (read_photos_option(p, photos, follow_links=follow_links) for p in (train, validation))
    return Retest(pixels, *parts)


def _bundle_facts(folder: Path) -> dict[str, object]:
    from ophis.inference.bundles.bundle import read_bundle

    bundle = read_bundle(folder)
    return {
        "bundle": folder,
        "version": bundle.version,
        "species": len(bundle.species),
        "evaluated": bundle.rule is not None,
    }


def combine(
    *bundles: Annotated[Path, Parameter(required=True)],
    validation: Path,
    out: Path,
    tta: TtaKinds = (),
    danger_confidence: float = DANGER_CONFIDENCE,
    photos: Path | None = None,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> int:
    """Write an ensemble of bundles, or one bundle with test-time augmentation.

    Prints accuracy and cost of each bundle and of the ensemble on the validation photos.

    Args:
        bundles: Bundle folders of the same species; one is enough with --tta.
        validation: Manifest of labelled photos that no bundle learned from, for the calibration and
            the guarantees of the ensemble; copies of training photos are refused.
        out: The bundle folder to write.
        tta: Test-time augmentation: average the logits of each photo with those of its mirror image
            (flip) or its four corners (crops); may be repeated.
        danger_confidence: Probability that this bundle keeps the warning for 99 % of dangerous
            snakes, above 0 and below 1; 0: bundles do so on average, which needs 99 such snakes
            in the half of the validation photos for guarantees instead of 299.
        photos: Folder of the photos of a SnakeCLEF table; by default that of the table.
        follow_links: Read photos that links or a column `folder` put elsewhere; for your own files.
        json: One JSON object with all figures.
    """
    from ophis.cli.terminal.progress import bar
    from ophis.inference.ensemble import combine as combine_bundles

    refuse_overlap((*bundles, validation, photos), folders=[out])
    rows = read_photos_option(validation, photos, follow_links=follow_links)
    with bar(len(rows) * len(bundles) * (2 if tta else 1)) as advance:
        results = combine_bundles(
            bundles,
            out,
            validation=rows,
            tta=tta,
            danger_confidence=confidence_option(danger_confidence),
            progress=advance,
        )
    return _finish_members(results, out, json=json)


def quantise(
    bundle: Path,
    /,
    *,
    train: Path,
    validation: Path,
    out: Path,
    most_loss: float = 0.5,
    danger_confidence: float = DANGER_CONFIDENCE,
    photos: Path | None = None,
    follow_links: FollowLinks = False,
    json: Json = False,
) -> int:
    """Write a bundle with 8-bit convolutions: a quarter of the size, and faster.

    Prints accuracy and cost of both bundles on the validation photos.

    Args:
        bundle: A bundle folder of one network.
        train: Manifest of its training photos, or of similar ones; the ranges of its activations
            are taken from at most 256 of them.
        validation: Manifest of labelled photos that it did not learn from, to evaluate and
            calibrate the new bundle; copies of training photos are refused.
        out: The bundle folder; nothing is written when too much accuracy is lost.
        most_loss: Percentage points of top-1 and of macro F1 that may be lost.
        danger_confidence: Probability that this bundle keeps the warning for 99 % of dangerous
            snakes, above 0 and below 1; 0: bundles do so on average, which needs 99 such snakes
            in the half of the validation photos for guarantees instead of 299.
        photos: Folder of the photos of SnakeCLEF tables; by default that of the table.
        follow_links: Read photos that links or a column `folder` put elsewhere; for your own files.
        json: One JSON object with all figures.
    """
    from ophis.cli.terminal.progress import bar
    from ophis.train.export import quantise as quantise_bundle

    refuse_overlap((bundle, train, validation, photos), folders=[out])
    learned = read_photos_option(train, photos, follow_links=follow_links)
    rows = read_photos_option(validation, photos, follow_links=follow_links)
    with bar(2 * len(rows)) as advance:
        results = quantise_bundle(
            bundle,
            out,
            train=learned,
            validation=rows,
            most_loss=most_loss / 100,
            danger_confidence=confidence_option(danger_confidence),
            progress=advance,
        )
    return _finish_members(results, out, json=json)


def _finish_members(results: Sequence[MemberResult], out: Path, *, json: bool) -> int:
    """Print the table of the bundles' results, then the bundle that was written."""
    from ophis.cli.terminal.tables import member_rows, print_member_results

    if not json:
        print_member_results(results)
    facts = {"bundle": out, "results": member_rows(results)}
    return finish(out, facts, failures=results[-1].failures, json=json)
