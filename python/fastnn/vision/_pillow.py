"""Pillow, imported when an image is first needed."""


def pillow():
    """The module PIL.Image, or an ImportError that names the extra."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            "fastnn.vision needs Pillow for images: pip install '.[vision]' (or pip install pillow)"
        ) from None
    return Image


def is_image(x) -> bool:
    """Whether x is a Pillow image; without Pillow nothing is."""
    import sys

    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(x, module.Image)
