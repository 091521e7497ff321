"""File formats: atomic writes, CSV, tables, NumPy archives, memory-mapped arrays, markup.

Handles bytes, cells and arrays; has no access to species, photos or models.
"""
