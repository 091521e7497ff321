"""Files written atomically; CSV, tables, arrays and text in files.

Knows formats; knows nothing of snakes.
"""
