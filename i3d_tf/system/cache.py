"""The user's cache folder, and whether the network may be used."""

import os
import sys
from pathlib import Path

HOME_VARIABLE = "I3D_TF_HOME"
OFFLINE_VARIABLE = "I3D_TF_OFFLINE"
_FOLDER = "i3d_tf"


def cache_dir() -> Path:
    """Returns the folder of downloaded and converted weights, which may not exist.

    It is `$I3D_TF_HOME`, else `i3d_tf` in the platform's cache folder.
    """
    if home := os.environ.get(HOME_VARIABLE):
        return Path(home).expanduser()
    return _platform_cache() / _FOLDER


def is_offline() -> bool:
    """Returns whether `I3D_TF_OFFLINE` forbids downloads: it is neither empty nor 0."""
    return os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0")


def _platform_cache():
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
