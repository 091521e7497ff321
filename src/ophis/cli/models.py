"""Verbs about models: trained, made bundles of, put together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ophis.cli.options import Json, Named, TtaKinds, as_typed, read_prior_option
from ophis.cli.outcome import finish, finish_training
from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.inference.ensemble import MemberResult


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
    compile: Annotated[bool, Parameter(negative="")] = False,  # noqa: A002 - torch's word
    save_every: float = 300,
    check_photos: bool = True,
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
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
        workers: Threads that read photos; by default one for each CPU core.
        compile: Run the training steps through torch.compile; needs a CUDA device.
        save_every: Seconds between checkpoints: the most work that a killed process loses.
        check_photos: Decode every photo before the first step, and record the results in the run
            folder; without it, a bad photo stops the run at the step that needs it.
        skip_bad: Train without the photos that cannot be used, and name them in the run folder's
            skipped.csv, instead of refusing to begin.
        json: One JSON object: the run folder, and how good it is on the validation photos.
    """
    from ophis import read_manifest, read_recipe
    from ophis.train import fit

    return finish_training(
        lambda progress: fit(
            read_recipe(recipe),
            train=read_manifest(train, photos=photos),
            validation=read_manifest(validation, photos=photos),
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
        facts=lambda folder: {
            "run": folder,
            "validation": _judged(folder),
            "skipped": _skipped(folder),
        },
        json=json,
    )


def _judged(folder: Path) -> dict[str, float]:
    """The figures of a run that is done."""
    from ophis import evaluate, read_scores
    from ophis.evaluation.run import SCORES

    return evaluate(read_scores(folder / SCORES)).as_dict()


def _skipped(folder: Path) -> dict[str, int]:
    """How many photos a run left out, by part."""
    from ophis.train.photo_check import read_skipped

    return {part: len(photos) for part, photos in read_skipped(folder).items()}


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
    weights: bool = True,
    json: Json = False,
) -> int:
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
        weights: Write the torch weights too (model.safetensors), for timm, for the Hugging Face Hub
            and for training on: half of the folder; no answer needs them.
        json: One JSON object: the bundle, its version, and whether it was judged on photos.
    """
    retest = (pixels, train, validation, photos)
    _export_run(run, out, prior=prior, retest=retest, weights=weights)
    return finish(out, _facts_of(out), json=json)


def _export_run(
    run: str,
    out: Path,
    *,
    prior: Path | None,
    retest: tuple[int | None, Path | None, Path | None, Path | None],
    weights: bool,
) -> None:
    """A bundle of a run, or of `imagenet17`."""
    from ophis import read_manifest
    from ophis.cli.terminal.progress import waiting
    from ophis.evaluation.run import PRIOR, SPECIES
    from ophis.taxonomy.species_list import SpeciesList
    from ophis.train.export import Retest, export_imagenet17
    from ophis.train.export import export as export_run

    pixels, train, validation, photos = retest
    if run == "imagenet17":
        if prior or pixels is not None or train or validation:
            raise InputError("imagenet17 has no photos and no countries; give nothing but --out")
        with waiting("writing the bundle"):
            export_imagenet17(out, weights=weights)
        return
    if not (pixels is not None) == bool(train) == bool(validation):
        raise InputError("--pixels, --train and --validation belong together; give all or none")
    given = read_prior_option(prior, SpeciesList.read(Path(run) / SPECIES)) if prior else None
    test = None
    if pixels is not None and train and validation:
        test = Retest(pixels, *(read_manifest(path, photos=photos) for path in (train, validation)))
    with waiting("writing the bundle, and comparing it with torch"):
        export_run(run, out, prior=given, test=test, weights=weights)
    if not prior:  # what the run counted is what its bundle's own prior is made of
        read_prior_option(Path(run) / PRIOR, SpeciesList.read(Path(run) / SPECIES))


def _facts_of(folder: Path) -> dict[str, object]:
    """What a program wants to know of a bundle that was made."""
    from ophis.inference.bundles.bundle import read_bundle

    bundle = read_bundle(folder)
    return {
        "bundle": folder,
        "version": bundle.version,
        "species": len(bundle.species),
        "judged": bundle.rule is not None,
    }


def combine(
    bundles: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    validation: Path,
    out: Path,
    tta: TtaKinds = (),
    photos: Path | None = None,
    json: Json = False,
) -> int:
    """Make a bundle that asks several bundles, or shows each photo several times.

    Prints what each bundle by itself, and all together, are worth and cost on those photos.

    Args:
        bundles: Bundle folders of the same species; one is enough with --tta.
        validation: Manifest of labelled photos that no bundle learned from: what the combination is
            calibrated with, and what its guarantees are made on.
        out: The bundle folder to write.
        tta: Test-time augmentation: average the logits of each photo with those of its mirror image
            (flip) or its four corners (crops); may be repeated.
        photos: Where the photos of a SnakeCLEF table lie; by default beside the table.
        json: One JSON object with all figures.
    """
    from ophis import read_manifest
    from ophis.cli.terminal.progress import bar
    from ophis.inference.ensemble import combine as combine_bundles

    rows = read_manifest(validation, photos=photos)
    with bar(len(rows) * len(bundles) * (2 if tta else 1)) as advance:
        worth = combine_bundles(bundles, out, validation=rows, tta=tta, progress=advance)
    return _finish_judged(worth, out, json=json)


def quantise(
    bundle: Path,
    /,
    *,
    train: Path,
    validation: Path,
    out: Path,
    most_loss: float = 0.5,
    photos: Path | None = None,
    json: Json = False,
) -> int:
    """Make a bundle that counts in 8 bits: a quarter of the size, and faster.

    Prints what the bundle and its 8-bit form are worth and cost on the validation photos.

    Args:
        bundle: A plain bundle folder.
        train: Manifest of photos that it learned from, or others like them: the ranges of its
            numbers are taken from at most 256 of them.
        validation: Manifest of labelled photos that it did not learn from: what the new bundle is
            judged and calibrated with.
        out: The bundle folder to write; not written where too much is lost.
        most_loss: How many points of top-1 and of macro F1 may be lost.
        photos: Where the photos of SnakeCLEF tables lie; by default beside the table.
        json: One JSON object with all figures.
    """
    from ophis import read_manifest
    from ophis.cli.terminal.progress import bar
    from ophis.train.export import quantise as quantise_bundle

    learned, judged = (read_manifest(path, photos=photos) for path in (train, validation))
    with bar(2 * len(judged)) as advance:
        worth = quantise_bundle(
            bundle,
            out,
            train=learned,
            validation=judged,
            most_loss=most_loss / 100,
            progress=advance,
        )
    return _finish_judged(worth, out, json=json)


def _finish_judged(worth: Sequence[MemberResult], out: Path, *, json: bool) -> int:
    """The table of what each bundle is worth, then the bundle that was made."""
    from ophis.cli.terminal.tables import member_rows, print_member_results

    if not json:
        print_member_results(worth)
    facts = {"bundle": out, "results": member_rows(worth)}
    return finish(out, facts, failures=worth[-1].failures, json=json)


def card(
    bundle: Named,
    /,
    *,
    scores: Path | None = None,
    license: str | None = None,  # noqa: A002 - the Hub's word
    write: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> None:
    """Print the card of a bundle, from what was measured of it: for people and for the Hub.

    Args:
        bundle: A bundle folder, `imagenet17`, or hf://owner/name.
        scores: A run folder, or scores by this bundle of photos that it did not learn from: judge
            by these, instead of by what the bundle holds.
        license: What its weights may be used under, as the Hub writes it: cc-by-4.0, apache-2.0.
        write: Put it into the bundle as README.md; the bundle has another version then.
        json: One JSON object with all that was measured.
    """
    from dataclasses import asdict

    from ophis.cli.terminal.progress import waiting
    from ophis.cli.terminal.tables import print_json
    from ophis.evaluation.run import read_scored_run
    from ophis.inference.bundles.card_file import card_of, rewrite
    from ophis.inference.bundles.hub import SCHEME
    from ophis.inference.bundles.registry import bundle_folder

    if write and as_typed(bundle).startswith(SCHEME):
        raise InputError(f"{bundle}: --write is for a bundle folder of your own; leave it out")
    with waiting("judging"):
        run = read_scored_run(scores) if scores else None
        found, results, text = card_of(bundle_folder(as_typed(bundle)), run=run, license=license)
    version = rewrite(found, results, text) if write else found.version
    if json:
        print_json({"bundle": found.folder, "version": version, **asdict(results)})
    else:
        print(f"{found.folder}: bundle {version}" if write else text)
