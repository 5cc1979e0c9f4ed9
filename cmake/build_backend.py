"""scikit-build-core with one addition: `-C cmake.define.FASTNN_CPU=OFF` leaves CMake out, so that the wheel needs no
build tools and is tagged py3-none-any (scikit-build-core has no condition on a cmake.define for its own overrides)."""

from scikit_build_core import build as _build
from scikit_build_core.build import *  # noqa: F403

_OFF = ("off", "false", "no", "0")


def _settings(config_settings):
    given = {key.removeprefix("skbuild."): value for key, value in (config_settings or {}).items()}
    cpu, cuda = (str(given.get(f"cmake.define.{name}", "")).lower() for name in ("FASTNN_CPU", "FASTNN_CUDA"))
    if cpu in _OFF and cuda in (*_OFF, ""):
        return {**(config_settings or {}), "wheel.cmake": "false"}
    return config_settings


def get_requires_for_build_wheel(config_settings=None):
    return _build.get_requires_for_build_wheel(_settings(config_settings))


def get_requires_for_build_editable(config_settings=None):
    return _build.get_requires_for_build_editable(_settings(config_settings))


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _build.build_wheel(wheel_directory, _settings(config_settings), metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return _build.build_editable(wheel_directory, _settings(config_settings), metadata_directory)
