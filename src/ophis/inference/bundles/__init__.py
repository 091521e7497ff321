"""Bundles: format, checks, model card, built-in bundles, Hugging Face Hub.

Knows the parts of a bundle and its evaluation results; knows no engine and runs no network.
"""
