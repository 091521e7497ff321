"""Backbones, their pretrained weights, and layers computed faster."""
