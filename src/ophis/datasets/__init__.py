"""Datasets: manifests of photos with labels, their sources, splits, shards and synthetic photos.

Reads and writes tables, folders and archives; has no models.
"""
