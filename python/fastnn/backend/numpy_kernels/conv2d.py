"""NumPy twins of the conv2d kernels: the readable definition of each, and what runs where nothing is compiled."""

__all__: list[str] = []
