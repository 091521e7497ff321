"""Manifests made from (species, country, observation)."""

from pathlib import Path

import polars as pl

from ophis import Manifest


def made_manifest(rows: list[tuple[str, str, str]], folder: Path = Path()) -> Manifest:
    """Return a manifest with one photo for each (species, country, observation)."""
    names = [f"{number}.jpg" for number in range(len(rows))]
    species, country, observation = zip(*rows, strict=True)
    table = {"photo_id": names, "photo": names, "species": species, "country": country}
    return Manifest(pl.DataFrame(table | {"observation": observation}), folder)
