"""The compiled pool2d kernels, under their twins' names; what they do not cover goes to the twin."""

__all__: list[str] = []
