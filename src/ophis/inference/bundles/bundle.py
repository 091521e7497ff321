"""Bundle: a folder with networks, species, calibration, prior and decision rule.

A plain bundle holds one network. An ensemble holds plain bundles as members, and a calibration,
prior and rule fitted on the averaged logits.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ophis.decision.calibration import Calibration, read_calibration
from ophis.decision.rule import DecisionRule, read_rule
from ophis.errors import InputError
from ophis.images.preprocessing import Preprocessing
from ophis.images.test_time_augmentation import NO_TTA, read_tta, write_tta
from ophis.inference.bundles.index import (
    CALIBRATION,
    CARD,
    COUNTS,
    DECISION,
    EVALUATION,
    FORMAT,
    IMAGES,
    INDEX,
    MODEL,
    NOT_FOR_ANSWERS,
    PRIOR,
    SPECIES,
    TTA,
    WEIGHTS,
    read_index,
    require_training_photos,
    sha256,
    version_of,
)
from ophis.priors.prior_file import read_prior
from ophis.taxonomy.danger import Danger, danger
from ophis.taxonomy.species_list import SpeciesList, require_same_species

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from ophis.evaluation.results import EvaluationResults
    from ophis.images.test_time_augmentation import Crop
    from ophis.priors.prior import Prior


@dataclass(frozen=True)
class Member:
    """A network with its species and preprocessing.

    Attributes:
        model: the ONNX file: input [photos, 3, pixels, pixels] float32, output logits.
        species: columns of its logits.
        preprocessing: resize and normalisation of a photo.
        calibration: applied to its logits before they are averaged with those of other members;
            None in a plain bundle.
    """

    model: Path
    species: SpeciesList
    preprocessing: Preprocessing
    calibration: Calibration | None


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        folder: its folder.
        version: SHA-256 digest over those of all its files; part of every answer.
        species: the classes.
        members: its networks, one or more, whose logits are averaged.
        tta: crops of each photo that each network scores; the logits are averaged.
        calibration: calibration of the logits, or None.
        prior: prior of the species by country, with its own temperature, or None.
        rule: decision rule, or None without validation photos.
    """

    folder: Path
    version: str
    species: SpeciesList
    members: tuple[Member, ...]
    tta: tuple[Crop, ...]
    calibration: Calibration | None
    prior: Prior | None
    rule: DecisionRule | None

    @property
    def danger_guaranteed(self) -> bool:
        """True if the rule was tested on enough snakes that may be dangerous to exclude danger."""
        return self.rule is not None and self.rule.image.danger_guaranteed

    def danger(self, species: str) -> Danger:
        """Return the danger of a species beside a prediction.

        Without the danger guarantee, NOT_KNOWN_DANGEROUS would reassure about a snake that the
        network may take for another: it is UNKNOWN.
        """
        found = danger(species)
        if found is Danger.NOT_KNOWN_DANGEROUS and not self.danger_guaranteed:
            return Danger.UNKNOWN
        return found


def read_bundle(folder: str | Path, *, expect: str | None = None) -> Bundle:
    """Read a bundle and verify the checksum of each of its files.

    The checksums are in the bundle, so they can be changed with its files; an expected version
    cannot.

    Args:
        folder: the folder of the bundle.
        expect: the `Bundle.version` that is wanted, all 64 digits; None: any.

    Raises:
        InputError: naming the file that is missing, changed or cut short, or the version.
    """
    index = read_index(Path(folder))
    version = version_of(index["files"] | index["members"])
    if expect is not None and expect.strip().lower() != version:
        raise InputError(
            f"{folder}: is bundle {version}, and {expect} is expected; copy that bundle again, or"
            " give all 64 digits of this one"
        )
    return _read(Path(folder), index)


def _read(folder: Path, index: dict[str, dict[str, str]]) -> Bundle:
    digests = index["files"]
    for name, digest in digests.items():
        path = folder / name
        # As large as the model, and not needed to identify: `verify_weights` reads them.
        if name == WEIGHTS or (name in NOT_FOR_ANSWERS and not path.exists()):
            continue
        if not path.is_file():
            raise InputError(f"{path}: this file of the bundle is missing; export or copy it again")
        if sha256(path) != digest:
            raise InputError(
                f"{path}: its checksum differs from {INDEX}: the file was changed or cut short;"
                " export or copy the bundle again"
            )
    for name in (SPECIES, *(() if index["members"] else (MODEL, IMAGES))):
        if name not in digests:
            raise InputError(f"{folder / INDEX}: {name} is not listed; export the bundle again")
    require_training_photos(digests, folder / INDEX)
    species = SpeciesList.read(folder / SPECIES)
    # The counts alone are the paper's prior; prior.toml describes any other.
    prior = next((name for name in (PRIOR, COUNTS) if name in digests), None)
    return Bundle(
        folder=folder,
        version=version_of(digests | index["members"]),
        species=species,
        members=_members(folder, species, index["members"]),
        tta=read_tta(folder / TTA) if TTA in digests else NO_TTA,
        calibration=read_calibration(folder / CALIBRATION, species)
        if CALIBRATION in digests
        else None,
        prior=read_prior(folder / prior, species) if prior else None,
        rule=read_rule(folder / DECISION, species) if DECISION in digests else None,
    )


def _members(folder: Path, species: SpeciesList, versions: dict[str, str]) -> tuple[Member, ...]:
    """Return the network of a plain bundle, or those of an ensemble's members."""
    if not versions:
        images = Preprocessing.read(folder / IMAGES)
        return (Member(folder / MODEL, species, images, None),)
    members: list[Member] = []
    for name, version in versions.items():
        index = read_index(folder / name)
        if index["members"]:  # checked before reading: a bundle may contain itself
            raise InputError(f"{folder / name}: does not belong in {folder}; combine again")
        inner = _read(folder / name, index)
        if inner.version != version:
            raise InputError(
                f"{inner.folder}: is bundle {inner.version}, but {INDEX} names {version}; copy the"
                " whole ensemble again"
            )
        if inner.tta != NO_TTA or set(inner.species) != set(species):
            raise InputError(f"{inner.folder}: does not belong in {folder}; combine again")
        members.append(replace(inner.members[0], calibration=inner.calibration))
    return tuple(members)


class BundleWriter:
    """Context manager that writes a bundle whole or not at all.

    Files are written into `folder`, a sibling of the bundle, which is renamed at the end.
    """

    def __init__(self, out: str | Path) -> None:
        self.out = Path(out)
        self.folder = self.out.with_name(f".{self.out.name}.{os.getpid()}")
        self._members: dict[str, str] = {}  # name in the folder to version

    def __enter__(self) -> Self:
        foreign = self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir()))
        if foreign and not (self.out / INDEX).is_file():
            raise InputError(f"{self.out} holds something that is no bundle; choose another")
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._seal()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def write(
        self,
        *,
        species: SpeciesList,
        calibration: Calibration | None,
        prior: Prior | None,
        rule: DecisionRule | None,
        card: str,
        results: EvaluationResults | None = None,
    ) -> None:
        """Write everything except the network with its images.json, or the members.

        Raises:
            InputError: when a part was fitted on other species, or in another order.
        """
        parts = {"the prior": prior, "the rule": rule, "the calibration": calibration}
        for name, part in parts.items():
            if part and part.species:
                require_same_species(
                    species,
                    part.species,
                    names=("the bundle", name),
                    fix="fit it on scores of this model",
                )
        if rule:
            rule.write(self.folder / DECISION)
        if calibration:
            calibration.write(self.folder / CALIBRATION)
        species.write(self.folder / SPECIES)
        if prior:
            prior.write(self.folder / (COUNTS if prior.suffix == ".csv" else PRIOR))
        (self.folder / CARD).write_text(card, encoding="utf-8")
        if results:
            results.write(self.folder / EVALUATION)

    def write_members(self, members: Sequence[Bundle], tta: tuple[Crop, ...]) -> None:
        """Copy whole bundles in as members of an ensemble, with its test-time augmentation."""
        for number, member in enumerate(members, start=1):
            name = f"member-{number}"
            (self.folder / name).mkdir()
            # Only the files of its index: this folder may be inside the member's.
            for file in (*read_index(member.folder)["files"], INDEX):
                if file != WEIGHTS and (member.folder / file).is_file():
                    shutil.copy(member.folder / file, self.folder / name / file)
            self._members[name] = member.version
        write_tta(tta, self.folder / TTA)

    def copy(self, bundle: Bundle) -> None:
        """Copy all files of a bundle, of which some are then replaced."""
        index = read_index(bundle.folder)
        for file in index["files"]:
            if (bundle.folder / file).is_file():
                shutil.copy(bundle.folder / file, self.folder / file)
        for name in index["members"]:
            shutil.copytree(bundle.folder / name, self.folder / name)
        self._members = index["members"]

    def _seal(self) -> None:
        files = (path for path in sorted(self.folder.iterdir()) if path.is_file())
        digests = {path.name: sha256(path) for path in files}
        require_training_photos(digests, self.out / INDEX)
        members = {"members": self._members} if self._members else {}
        version = version_of(digests | self._members)
        index = {"format": FORMAT, "version": version, "files": digests, **members}
        (self.folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        if self.out.exists():
            shutil.rmtree(self.out)
        self.folder.rename(self.out)
