"""Training of the three stages, in torch and Lightning.

``learn`` is what ``ds.soup.….train`` calls: it takes a ``request``, lets ``gather`` find trials and
labels, ``split`` divide them, and one of the ``stages`` say which network learns from what.
``fit`` runs Lightning's trainer on a stage's ``tasks`` and keeps a ``runfolder``; ``crossval`` does
all that once for each fold. The networks' input comes from ``clips`` (pictures, changed at random
by ``augment``) or ``recordings`` (stored features), in the order that ``schedule`` sets; ``losses``
and ``penalty`` are what they minimise, ``scoring`` how an epoch is judged.

Nothing is imported here, so that ``import soupxr`` stays free of torch.
"""
