"""The IDX file format of MNIST: a magic number, sizes, and the values, big-endian; often gzipped.

Files come from strangers: every size is checked against what the caller expects before memory is taken for it.
"""

import gzip
import zlib

from fastnn.backend import xp

_UNSIGNED_BYTES = 8  # the format's code for uint8, the one element type of the digit files
_MAX_BYTES = 1 << 30  # more than any file of this family (EMNIST's largest holds 550 MB)


def read_idx(path, ndim: int):
    """The array of uint8 with `ndim` dimensions in an IDX file, plain or gzipped (told by its first bytes).

    Raises ValueError naming the file and what is wrong with it.
    """
    with open(path, "rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if gzipped else file
        try:
            return _read(stream, path, ndim)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: broken gzip file ({error})") from None


def _read(stream, path, ndim):
    header = stream.read(4 + 4 * ndim)
    if len(header) < 4 + 4 * ndim:
        raise ValueError(
            f"{path}: an IDX file of {ndim} dimensions has {4 + 4 * ndim} bytes of header, got {len(header)}"
        )
    if header[:2] != b"\0\0" or header[2] != _UNSIGNED_BYTES or header[3] != ndim:
        raise ValueError(
            f"{path}: not an IDX file of unsigned bytes with {ndim} dimensions: "
            f"starts with {header[:4].hex()}, expected 000008{ndim:02x}"
        )
    shape = tuple(int.from_bytes(header[i : i + 4], "big") for i in range(4, 4 + 4 * ndim, 4))
    count = 1
    for size in shape:
        count *= size
    if count > _MAX_BYTES:
        raise ValueError(
            f"{path}: the header says {' x '.join(map(str, shape))} values; more than {_MAX_BYTES} is refused"
        )
    # In pieces: a header that promises more than the file holds must not make us take the memory first.
    pieces, held = [], 0
    while held <= count:
        piece = stream.read(min(1 << 20, count + 1 - held))
        if not piece:
            break
        pieces.append(piece)
        held += len(piece)
    if held != count:
        more = "more" if held > count else f"{held}"
        raise ValueError(
            f"{path}: the header says {' x '.join(map(str, shape))} = {count} values, the file holds {more}"
        )
    return xp.frombuffer(bytearray(b"".join(pieces)), dtype="uint8").reshape(shape)
