"""What is told and recorded of a source and its listing; pure.

Comes in: an order's source, a listing, a plan. Goes out: the `Resolved` of reports, and the source's entry in a
manifest: hosts and paths, never a query string, a user name or a token.
"""

from urllib.parse import urlsplit

from modelfetch.api.source import DEFAULT_HF_ENDPOINT, HttpSource, HuggingFaceSource
from modelfetch.fetcher.plan import Plan
from modelfetch.report import Resolved
from modelfetch.sources.base import Listing
from modelfetch.store.manifest import ManifestSource


def resolved(listing: Listing, plan: Plan) -> Resolved:
    """Return what the revision turned out to be; a source without commits has none to tell."""
    return Resolved(
        revision=listing.revision,
        commit=listing.commit or "",
        total_bytes=plan.known_bytes,
        file_count=len(plan.files),
        license=listing.license,
        gated=listing.gated,
    )


def recorded(source: HuggingFaceSource | HttpSource) -> ManifestSource:
    """Return what a manifest says of the source."""
    if isinstance(source, HttpSource):
        urls = tuple(urlsplit(file.url)._replace(query="", fragment="").geturl() for file in source.files)
        return ManifestSource(type="http", urls=urls)
    return ManifestSource(
        type="huggingFace",
        host=urlsplit(source.endpoint or DEFAULT_HF_ENDPOINT).netloc,
        repo=source.repo,
        repo_type=source.repo_type,
        path=source.path,
    )
