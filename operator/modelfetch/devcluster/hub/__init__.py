"""A hub for tests and demos that answers as the Hugging Face Hub does, and misbehaves on demand.

    with FixtureHub([RepoSpec("acme/tiny", {"config.json": "{}", "model.safetensors": Weights(65536)})]) as hub:
        hub.fail(Cut(after=1000), port="cdn", nth=1)      # the first answer of the CDN ends after 1000 bytes
        ...                                               # a client of hub.endpoint
        assert [record.range for record in hub.requests if record.port == "cdn"] == [None, "bytes=1000-"]

As a program: `python -m modelfetch.devcluster.hub --help`.
"""

from modelfetch.devcluster.hub.content import Content, Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.journal import Record
from modelfetch.devcluster.hub.repository import File, LfsPolicy, Repository, RepoSpec
from modelfetch.devcluster.hub.rules import (
    Close,
    ContentRange,
    Corrupt,
    Cut,
    Delay,
    ETag,
    Gzip,
    Headers,
    IgnoreRange,
    Length,
    Listing,
    Match,
    Paging,
    Rate,
    Redirect,
    Replace,
    Rule,
    Stall,
    Status,
)
from modelfetch.devcluster.hub.settings import HubSettings

__all__ = [
    "Close",
    "Content",
    "ContentRange",
    "Corrupt",
    "Cut",
    "Delay",
    "ETag",
    "File",
    "FixtureHub",
    "Gzip",
    "Headers",
    "HubSettings",
    "IgnoreRange",
    "Length",
    "LfsPolicy",
    "Listing",
    "Match",
    "Paging",
    "Rate",
    "Record",
    "Redirect",
    "Replace",
    "RepoSpec",
    "Repository",
    "Rule",
    "Stall",
    "Status",
    "Weights",
]
