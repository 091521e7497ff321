"""Text on a terminal: tables, progress and answers.

Knows results; computes none.
"""
