"""Pictures of ethograms, and the pages on which people look at and correct them.

Importing this package imports nothing heavy: each module imports what it draws with.
"""
