"""NumPy twins of the softmax kernels: the readable definition of each, and what runs where nothing is compiled."""

__all__: list[str] = []
