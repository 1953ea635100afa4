"""Which folders are used is the user's choice, else the convention of the desktop, else below home."""

from pathlib import Path

import pytest

from modelfetch.devcluster.folders import cache_folder, clusters_folder


@pytest.mark.parametrize(
    ("environ", "cache"),
    [
        ({"MODELFETCH_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/modelfetch"),
        ({"HOME": "/h"}, "/h/.cache/modelfetch"),
        ({"MODELFETCH_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/modelfetch"),
    ],
)
def test_cache_folder(environ: dict[str, str], cache: str) -> None:
    """MODELFETCH_CACHE wins over XDG_CACHE_HOME, that over home; an empty value is none."""

    assert Path(cache) == cache_folder(environ)


@pytest.mark.parametrize(
    ("environ", "clusters"),
    [
        ({"MODELFETCH_STATE": "/s", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/s/clusters"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/modelfetch/clusters"),
        ({"HOME": "/h"}, "/h/.local/state/modelfetch/clusters"),
    ],
)
def test_clusters_folder(environ: dict[str, str], clusters: str) -> None:
    """MODELFETCH_STATE wins over XDG_STATE_HOME, that over home."""

    assert Path(clusters) == clusters_folder(environ)
