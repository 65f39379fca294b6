"""People's labels, on their way into the store.

``arrays`` and ``bout_table`` read what a lab has, ``annotate`` checks all of it and writes it.
"""
