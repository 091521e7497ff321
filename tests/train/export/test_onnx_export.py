import pytest
import torch
from torch import nn

from ophis import InputError
from ophis.train.export.onnx_export import write_onnx


class Branching(nn.Module):
    """Network whose path depends on the photo, which an ONNX graph cannot hold."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean((2, 3)) if pixels.sum() > 0 else pixels.amax((2, 3))


def test_network_that_the_exporter_does_not_support_is_one_line(tmp_path):
    with pytest.raises(InputError, match="torch cannot write this network as ONNX") as error:
        write_onnx(Branching(), tmp_path / "m.onnx", side=8)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
