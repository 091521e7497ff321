"""Backbones from timm, their pretrained weights, and faster forms of their layers.

It knows networks and weights files. It does not know photos, recipes or the training loop.
"""

from ophis.train.networks.model import create_model

__all__ = ["create_model"]
