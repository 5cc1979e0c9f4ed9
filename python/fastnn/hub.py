"""torch.hub's part that fetches files. Nothing is loaded from the network but what the caller names by URL, and no code."""

import os

__all__ = ["download_url_to_file", "get_dir", "load_state_dict_from_url", "set_dir"]

_folder = None


def get_dir() -> str:
    """The folder of downloads: what set_dir was told, else $TORCH_HOME/hub, else ~/.cache/torch/hub."""
    if _folder is not None:
        return _folder
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    return os.path.join(os.path.expanduser(os.environ.get("TORCH_HOME", cache)), "hub")


def set_dir(d) -> None:
    """Keep downloads in the folder `d` from here on."""
    global _folder
    _folder = os.path.expanduser(d)


def download_url_to_file(url, dst, hash_prefix=None, progress=True) -> None:
    """Fetch `url` into the file `dst`, which appears whole or not at all. RuntimeError where the content's SHA-256 does
    not begin with `hash_prefix`."""
    import hashlib
    from urllib.request import Request, urlopen

    from .serialization import atomic_write

    digest = hashlib.sha256()
    with (
        urlopen(Request(url, headers={"User-Agent": "fastnn"}), timeout=60) as reply,
        atomic_write(os.path.expanduser(dst)) as file,
    ):
        while piece := reply.read(1 << 20):
            digest.update(piece)
            file.write(piece)
        found = digest.hexdigest()
        if hash_prefix is not None and not found.startswith(hash_prefix):
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{found}")')


def load_state_dict_from_url(
    url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None, weights_only=True
):
    """What `load` reads from the file of `url`, fetched into model_dir (get_dir()/checkpoints) unless it lies there.

    check_hash: the file's name ends in "-" and the first digits of its SHA-256, which the content must have."""
    import re
    import sys
    from urllib.parse import urlparse

    from .serialization import load

    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else os.fspath(model_dir)
    name = os.path.basename(urlparse(url).path) if file_name is None else file_name
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        os.makedirs(folder, exist_ok=True)
        sys.stderr.write(f'Downloading: "{url}" to {path}\n')
        prefix = re.search(r"-([a-f0-9]*)\.", name) if check_hash else None
        download_url_to_file(url, path, prefix.group(1) if prefix else None, progress)
    return load(path, map_location=map_location, weights_only=weights_only)
