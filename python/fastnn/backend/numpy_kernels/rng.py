"""NumPy twins of the rng kernels: the readable definition of each, and what runs where nothing is compiled."""

__all__: list[str] = []
