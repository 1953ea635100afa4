"""The only list of sources: a new one is a module beside this and one entry here.

Comes in: an order, a guarded session, the token or None. Goes out: the `Source` that the pipeline lists and reads from,
with the token bound to the one origin that may see it. Modules are imported when their source is wanted.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from modelfetch import program
from modelfetch.api.order import FetchOrder
from modelfetch.api.source import DEFAULT_HF_ENDPOINT, HttpSource, HuggingFaceSource
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.sources.base import Source
from modelfetch.transfer.curl import Session
from modelfetch.transfer.guard import Credential, parse_url

_LIBRARY_OWN = ("HF_", "HUGGINGFACE_", "HUGGING_FACE_", "TRANSFORMERS_OFFLINE")

ReadToken = Callable[[], str]
"""Returns the token as it is now; raises FetchError where there is none any more."""


@dataclass(frozen=True)
class Access:
    """How a source is reached: through `session`, with the token that `read_token` gives, None for public sources."""

    session: Session
    read_token: ReadToken | None


def open_source(order: FetchOrder, access: Access) -> Source:
    """Return the source of the order; raises FetchError where its address or the token cannot be used."""
    source = order.source
    if isinstance(source, HuggingFaceSource):
        with _nobodys_settings(), program.importing():
            # Here, not above: huggingface_hub takes half a second to import.
            from modelfetch.sources.huggingface import HubSource

        credential = bind_token(access, [source.endpoint or DEFAULT_HF_ENDPOINT])
        return HubSource(source, access.session, credential, order.limits.max_files)
    return _url_source(source, access)


@contextmanager
def _nobodys_settings() -> Iterator[None]:
    """Hide huggingface_hub's own variables: it reads them when it is imported, and gives up on a wrong number."""
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_LIBRARY_OWN)}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _url_source(source: HttpSource, access: Access) -> Source:
    from modelfetch.sources.http import UrlSource

    return UrlSource(source, access.session, bind_token(access, [file.url for file in source.files]))


def bind_token(access: Access, addresses: list[str]) -> Credential | None:
    """Return the token bound to the origin of `addresses`; raises FetchError(SpecInvalid) where they have several."""
    origins = {parse_url(address).origin for address in addresses}
    if access.read_token is None:
        return None
    if len(origins) > 1:
        hosts = ", ".join(sorted(f"'{origin.host}'" for origin in origins))
        raise FetchError(
            Reason.SPEC_INVALID, f"expected files of one host, since a token is sent to one host only, got {hosts}"
        )
    read = access.read_token
    return Credential(origins.pop(), read(), reload=lambda: reread(read))


def reread(read: ReadToken) -> str | None:
    """Return the token as it is now, None where it is gone: the old one has been refused already."""
    try:
        return read()
    except FetchError:
        return None
