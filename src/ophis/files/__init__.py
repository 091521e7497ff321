"""Files: atomic writes, overlap of outputs, CSV, tables, NumPy archives, mapped arrays, markup.

Handles bytes, cells and arrays; has no access to species, photos or models.
"""
