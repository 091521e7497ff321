"""Static page, and its export as a folder or a single HTML file.

Reads bundles; contains no server.
"""
