"""Species list, scientific names, families and danger.

Knows names; knows no photo.
"""
