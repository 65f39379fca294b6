"""Training of the networks, in torch: losses, data and loops.

Nothing is imported here, so that ``import soupxr`` stays free of torch.
"""
