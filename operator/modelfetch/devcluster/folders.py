"""Where the embedded cluster keeps things: a cache folder that may be deleted, and one state folder per cluster.

Comes in: the environment. Goes out: paths; nothing is created here. Neighbours: binaries.py fills the cache folder,
state.py the state folders.
"""

import os
from collections.abc import Mapping
from pathlib import Path


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for downloads and builds: MODELFETCH_CACHE, else a folder in the user's cache."""
    return _folder(environ, "MODELFETCH_CACHE", "XDG_CACHE_HOME", ".cache")


def clusters_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that holds one state folder per cluster: in MODELFETCH_STATE, else in the user's state."""
    return _folder(environ, "MODELFETCH_STATE", "XDG_STATE_HOME", ".local/state") / "clusters"


def _folder(environ: Mapping[str, str], own: str, xdg: str, in_home: str) -> Path:
    if chosen := environ.get(own):
        return Path(chosen).expanduser().absolute()
    base = environ.get(xdg) or Path(environ.get("HOME") or Path.home()) / in_home
    return Path(base).absolute() / "modelfetch"
