"""How good results are, and by which thresholds they are decided.

``scoring`` turns predictions and labels into one Dataset of scores, ``evaluate`` finds them in the
store, ``decisions`` knows how a stored ethogram came from its probabilities, and ``thresholds``
fits that anew.
"""
