"""Images from files to tensors [channels, height, width] of bytes, and back, by Pillow."""

import enum

import fastnn

from ._pillow import pillow

__all__ = ["ImageReadMode", "decode_image", "read_file", "read_image", "write_jpeg", "write_png"]


class ImageReadMode(enum.Enum):
    """The channels that are wanted."""

    UNCHANGED = None
    GRAY = "L"
    GRAY_ALPHA = "LA"
    RGB = "RGB"
    RGB_ALPHA = "RGBA"


def _image(source, mode):
    from .transforms.functional import pil_to_tensor

    mode = ImageReadMode[mode] if isinstance(mode, str) else mode
    image = pillow().open(source)
    if mode.value is not None and image.mode != mode.value:
        image = image.convert(mode.value)
    elif image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    return pil_to_tensor(image)


def read_image(path, mode=ImageReadMode.UNCHANGED, apply_exif_orientation=False):
    """The image in a file."""
    return _image(path, mode)


def read_file(path):
    """The bytes of a file, as a tensor."""
    with open(path, "rb") as file:
        return fastnn.frombuffer(bytearray(file.read()), dtype=fastnn.uint8)


def decode_image(input, mode=ImageReadMode.UNCHANGED, apply_exif_orientation=False):
    """The image in a tensor of a file's bytes."""
    import io

    return _image(io.BytesIO(input.numpy().tobytes()), mode)


def write_png(input, filename, compression_level=6):
    """Write a tensor of bytes as PNG."""
    from .transforms.functional import to_pil_image

    to_pil_image(input).save(filename, format="PNG", compress_level=compression_level)


def write_jpeg(input, filename, quality=75):
    """Write a tensor of bytes as JPEG."""
    from .transforms.functional import to_pil_image

    to_pil_image(input).save(filename, format="JPEG", quality=quality)
