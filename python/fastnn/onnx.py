"""torch.onnx, as far as scripts import it: fastnn writes no ONNX files, and says so when asked."""


def export(*args, **kwargs):
    """Raises NotImplementedError: fastnn cannot write ONNX. Save the state_dict and export it with torch."""
    raise NotImplementedError(
        "onnx.export: fastnn writes no ONNX files; save(model.state_dict(), path) gives a file that torch loads, which "
        "can export it"
    )


def is_in_onnx_export() -> bool:
    """False: nothing is ever being exported."""
    return False


__all__ = ["export", "is_in_onnx_export"]
