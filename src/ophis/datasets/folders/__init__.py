"""Folders of photos: their files, the levels of their folders, and their metadata files.

Reads folders; does not decode photos, and has no models.
"""
