"""Self-test of a bundle: logits of three synthetic photos, compared with those at its export."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ophis.decision.verdict import Verdict, logits_show_danger
from ophis.errors import InputError, require_numbers
from ophis.files.atomic import whole_file
from ophis.files.content import content_of, read_json
from ophis.images.decode import decode
from ophis.images.preprocessing import normalise
from ophis.inference.bundles.index import SELFTEST
from ophis.inference.engine import EngineKind
from ophis.inference.network import Network
from ophis.inference.photo import Wanted, read
from ophis.taxonomy.danger import Danger, danger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from ophis.inference.bundles.bundle import Member
    from ophis.inference.photo import Reader

PHOTOS = 3
SIDES = (96, 72)  # pixels of a photo: small, because every bundle holds them
# Fractions of the largest logit. In float32 ONNX Runtime's kernels and OpenVINO's differ by 1e-6 of
# it; in 8 bits, where a last digit may move a whole step, by 0.04 (docs/log.md).
TOLERANCE = 1e-4
ROUNDED_TOLERANCE = 0.1


@dataclass(frozen=True)
class SelfTest:
    """Photos and the expected logits.

    Attributes:
        photos: PNG files, whose pixels do not depend on the version of a decoder.
        logits: [photos, species], uncalibrated, float32.
        tolerance: largest difference allowed, as a fraction of the largest logit; at most 0.1.
        verdicts: [photos], danger verdict of the logits alone.
        dangers: danger of each species.

    Raises:
        InputError: there is no photo, not one verdict for each, or a tolerance outside [0, 0.1].
    """

    photos: tuple[bytes, ...]
    logits: NDArray[np.float32]
    tolerance: float
    verdicts: tuple[str, ...]
    dangers: Mapping[str, str]

    def __post_init__(self) -> None:
        photos = len(self.photos)
        if not photos or {len(self.logits), len(self.verdicts)} != {photos}:
            raise InputError(
                f"`photos`, `logits` and `verdicts` have {photos}, {len(self.logits)} and"
                f" {len(self.verdicts)} entries; each should have as many, one or more"
            )
        if not set(self.verdicts) <= set(Verdict):
            raise InputError(f"`verdicts` is {list(self.verdicts)}, of unknown verdicts")
        require_numbers("tolerance", [self.tolerance], least=0, most=ROUNDED_TOLERANCE)

    def write(self, path: Path) -> Path:
        """Write selftest.json."""
        values = {
            "photos": [base64.b64encode(photo).decode() for photo in self.photos],
            "logits": self.logits.tolist(),
            "tolerance": self.tolerance,
            "verdicts": list(self.verdicts),
            "dangers": dict(self.dangers),
        }
        with whole_file(path) as temporary:
            temporary.write_text(json.dumps(values) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> SelfTest:
        """Read selftest.json.

        Raises:
            InputError: naming the file and what is wrong in it.
        """
        again = "export the bundle again"
        values = read_json(path, "self-test", fix=again)
        with content_of(path, "no self-test", fix=again):
            return cls(
                photos=tuple(map(base64.b64decode, values["photos"])),
                logits=np.array(values["logits"], np.float32),
                tolerance=values["tolerance"],
                verdicts=tuple(values["verdicts"]),
                dangers=dict(values["dangers"]),
            )


def write_selftest(member: Member, *, rounded: bool = False) -> Path:
    """Write the logits of three synthetic photos beside a network.

    Args:
        member: the network of a bundle that is being written.
        rounded: 8-bit networks, whose logits differ between processors.

    Raises:
        InputError: when a logit is not finite.
    """
    from ophis.datasets.synthetic.camera import photograph  # noqa: PLC0415 - no answer needs it
    from ophis.datasets.synthetic.population import sightings  # noqa: PLC0415

    pictures = (decode(photograph(one, seed=0).data) for one in sightings(36, seed=0)[:PHOTOS])
    photos = tuple(png(picture.resize(SIDES)) for picture in pictures)
    network = Network(member, member.species)
    logits = np.concatenate([_logits(network, photo, read) for photo in photos])
    return SelfTest(
        photos=photos,
        logits=logits,
        tolerance=ROUNDED_TOLERANCE if rounded else TOLERANCE,
        verdicts=tuple(
            Verdict.MAY_BE_VENOMOUS if risky else Verdict.NOT_KNOWN_DANGEROUS
            for risky in logits_show_danger(logits, member.species)
        ),
        dangers={name: str(danger(name)) for name in member.species},
    ).write(member.model.with_name(SELFTEST))


def require_same(network: Network, engine: EngineKind | str, reader: Reader = read) -> None:
    """Check that a network gives the same logits here as at its export.

    Args:
        network: a network with the file of its self-test beside it.
        engine: runtime of the network.
        reader: function that decodes the photos.

    Raises:
        InputError: when a logit differs by more than the tolerance, or the warning of a photo or
            of a species is lost.
    """
    path = network.member.model.with_name(SELFTEST)
    test = SelfTest.read(path)
    rounded = engine == EngineKind.OPENVINO_BFLOAT16
    tolerance = max(test.tolerance, ROUNDED_TOLERANCE) if rounded else test.tolerance
    for number, (photo, expected) in enumerate(zip(test.photos, test.logits, strict=True), start=1):
        (found,) = _logits(network, photo, reader)
        if found.shape != expected.shape:
            raise InputError(f"{path}: belongs to another network; export the bundle again")
        off = float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))
        if not off <= tolerance:  # also true for NaN
            raise InputError(
                f"{network.member.model}: logits of self-test photo {number} differ from those"
                f" at its export by {off:.1e} of the largest logit, more than"
                f" {tolerance:.0e}; run it with another version of ONNX Runtime, or export it again"
            )
        # The logits of 8-bit networks may differ enough to cross the limit.
        risky = logits_show_danger(np.stack([found, expected]), network.member.species).any()
        if test.verdicts[number - 1] == Verdict.MAY_BE_VENOMOUS and not risky:
            raise InputError(
                f"{path}: self-test photo {number} had the verdict {Verdict.MAY_BE_VENOMOUS!s} at"
                " the export and has it no more; install ophis again, or export the bundle again"
            )
    for name, expected in test.dangers.items():
        if expected == Danger.VENOMOUS and danger(name) != expected:
            raise InputError(
                f"{name!r} was venomous when the bundle was exported and is not here: the danger"
                " tables are incomplete; install ophis again"
            )


def require_finite(network: Network, photo: bytes, reader: Reader = read) -> None:
    """Check that a network without a self-test gives finite logits.

    Raises:
        InputError: when a logit is not finite.
    """
    _logits(network, photo, reader)


def _logits(network: Network, photo: bytes, reader: Reader) -> NDArray[np.float32]:
    images = network.member.preprocessing
    pixels = reader(photo, "the self-test's photo", Wanted(frozenset({images.pixels})))
    logits, _ = network.outputs(normalise(pixels.resized[images.pixels], images))
    if not np.isfinite(logits).all():
        raise InputError(f"{network.member.model}: its logits are not finite")
    return logits


def png(picture: Image.Image) -> bytes:
    """Return an image as a lossless PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
