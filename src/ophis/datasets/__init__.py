"""Photos with their labels: sources, the manifest, packed shards, synthetic photos.

Knows tables, folders and archives; knows no model.
"""
