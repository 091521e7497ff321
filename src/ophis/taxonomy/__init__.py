"""Species lists, scientific names, families and danger to people.

Handles names of species and tables about them; has no access to photos, scores or models.
"""
