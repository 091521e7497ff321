"""Saliency maps: where a network looks."""
