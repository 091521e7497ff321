"""Shards: photos decoded and resized once, in tar files with an index.

Reads and writes files and pixels; has no models.
"""
