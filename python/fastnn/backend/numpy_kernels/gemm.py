"""NumPy twins of the gemm kernels: the readable definition of each, and what runs where nothing is compiled."""

__all__: list[str] = []
