"""Verbs about models: trained, made bundles of, put together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ophis.cli.options import Json
from ophis.cli.priors import given_prior
from ophis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable


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
    save_every: float = 300,
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
        save_every: Seconds between two checkpoints: so much is lost with a process that is killed.
    """
    from ophis import read_manifest, read_recipe
    from ophis.train import fit

    return until_stopped(
        lambda: fit(
            read_recipe(recipe),
            train=read_manifest(train, photos=photos),
            validation=read_manifest(validation, photos=photos),
            out=out,
            weights_folder=weights_folder,
            device=device,
            workers=workers,
            save_every_seconds=save_every,
        )
    )


def until_stopped(work: Callable[[], Path]) -> int:
    """Train, and print what was made; the exit status, also when it was asked to stop."""
    from ophis.memory import keep_freed_memory
    from ophis.train import Stopped

    keep_freed_memory()
    try:
        print(work())
    except Stopped as stopped:
        print(f"ophis: {stopped}", file=sys.stderr)
        return 128 + stopped.signal
    return 0


def export(
    run: str,
    /,
    *,
    out: Path | None = None,
    prior: Path | None = None,
    pixels: int | None = None,
    train: Path | None = None,
    validation: Path | None = None,
    photos: Path | None = None,
    web: Path | None = None,
    single_file: Annotated[bool, Parameter(negative="")] = False,
    runtime: Path | None = None,
) -> None:
    """Make a bundle of a trained run, to identify with, without torch; or a page of a bundle.

    Args:
        run: A run folder, or `imagenet17`: the 17 kinds of snake of ImageNet, without training; to
            make nothing but a page, a bundle folder.
        out: The bundle folder.
        prior: What a country says, of `ophis fit-prior`; by default what wins on the run's
            validation scores.
        pixels: Show photos with so many pixels a side, instead of the recipe's test_pixels; needs
            --train and --validation, because all that was learned of such photos is learned anew.
        train: With --pixels, the manifest that the run learned from.
        validation: With --pixels, the manifest that it was judged by.
        photos: Where the photos of SnakeCLEF tables lie; by default beside the table.
        web: The folder of a page that answers in the browser, with the network switched off.
        single_file: With --web, one HTML file of that name, which answers when opened from disk.
        runtime: With --web, onnxruntime-web as `npm pack` writes it; by default found or fetched.
    """
    if web is None and (single_file or runtime):
        raise InputError("--single-file and --runtime belong to --web; say where the page goes")
    if web is None and out is None:
        raise InputError("say what to make: --out BUNDLE of a run, or --web PAGE of a bundle")
    if out is not None:
        _export_run(run, out, prior=prior, retest=(pixels, train, validation, photos))
        run = str(out)
    elif prior or pixels is not None or train or validation:
        raise InputError("what a page says is what its bundle says; give those with --out")
    if web is not None:
        _export_page(run, web, single_file=single_file, runtime=runtime)


def _export_run(
    run: str,
    out: Path,
    *,
    prior: Path | None,
    retest: tuple[int | None, Path | None, Path | None, Path | None],
) -> None:
    """A bundle of a run, or of `imagenet17`; prints its folder."""
    from ophis import read_manifest
    from ophis.sides import PRIOR, SPECIES
    from ophis.taxa import SpeciesList
    from ophis.train import Retest, export_imagenet17
    from ophis.train import export as export_run

    pixels, train, validation, photos = retest
    if run == "imagenet17":
        if prior or pixels is not None or train or validation:
            raise InputError("imagenet17 has no photos and no countries; give nothing but --out")
        print(export_imagenet17(out))
        return
    if not (pixels is not None) == bool(train) == bool(validation):
        raise InputError("--pixels, --train and --validation belong together; give all or none")
    given = given_prior(prior, SpeciesList.read(Path(run) / SPECIES)) if prior else None
    test = None
    if pixels is not None and train and validation:
        test = Retest(pixels, *(read_manifest(path, photos=photos) for path in (train, validation)))
    bundle = export_run(run, out, prior=given, test=test)
    if not prior:  # what the run counted is what its bundle's own prior is made of
        given_prior(Path(run) / PRIOR, SpeciesList.read(Path(run) / SPECIES))
    print(bundle)


def _export_page(bundle: str, web: Path, *, single_file: bool, runtime: Path | None) -> None:
    """A page of a bundle; prints where it is, and what is in it."""
    from ophis.ready import folder_of
    from ophis.tables import print_web
    from ophis.web import export_web

    print_web(web, export_web(folder_of(bundle), web, single_file=single_file, runtime=runtime))


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
) -> int:
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
    for failure in worth[-1].failures:
        print(f"ophis: {failure.reason}", file=sys.stderr)
    if not json:
        print(out)
    return 1 if worth[-1].failures else 0


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
        json: One JSON list with all figures.
    """
    from ophis import read_manifest
    from ophis.tables import bar, print_worth
    from ophis.train.quantisation import quantise as quantise_bundle

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
    print_worth(worth, json=json)
    for failure in worth[-1].failures:
        print(f"ophis: {failure.reason}", file=sys.stderr)
    if not json:
        print(out)
    return 1 if worth[-1].failures else 0
