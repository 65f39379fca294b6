"""From stored videos to stored ethograms.

``plan`` decides with which models and settings, ``preprocess`` makes the networks' input,
``engine`` turns frames into features, ``sequence`` features into ethograms, ``trial`` takes one
trial through all of it, and ``run`` all trials through dask.
"""
