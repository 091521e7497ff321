"""Inference: photos to an answer through the networks of a bundle, without torch.

Knows bundles and engines; knows neither HTTP nor the terminal.
"""
