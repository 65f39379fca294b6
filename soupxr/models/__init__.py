"""The networks, in torch alone: flow generators, classifiers, sequence model, and their files.

They know tensors and nothing of datasets or labels; those are put on where the networks are used.
Nothing is imported here, so that ``import soupxr`` stays free of torch.
"""
