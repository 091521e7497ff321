"""Records of species at places: readers of the common files, and their cleaning.

Knows columns, coordinates and borders; does not know how a prior uses the records.
"""
