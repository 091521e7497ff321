"""Bundles: format, checks, model card, ensembles, registry, Hugging Face Hub."""
