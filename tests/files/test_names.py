"""Files below a folder whose name is not UTF-8."""

import os

import pytest

from ophis import read_manifest
from ophis.datasets.shards.writer import pack
from ophis.files.names import path_or_content
from ophis.inference.engine import OnnxRuntime
from tests.support.made_bundle import write_made_bundle


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_manifest_and_pack_are_written_and_read(coloured, tmp_path, suffix):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    table = coloured.write(folder / f"m.{suffix}")
    assert len(read_manifest(table, photos=coloured.folder)) == len(coloured)
    assert len(read_manifest(pack(coloured, folder / "pack", pixels=32).folder)) == len(coloured)


def test_engine_loads_the_content(coloured, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    write_made_bundle(folder, coloured.species_list())
    model = folder / "model.onnx"
    assert path_or_content(model) == model.read_bytes()
    assert OnnxRuntime(model, 1).inputs
    assert path_or_content(tmp_path) == tmp_path
