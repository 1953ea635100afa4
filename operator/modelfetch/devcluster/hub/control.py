"""The hub's own door at /_fixture: rules in and out, the journal out, URLs and tokens made invalid.

In: requests of a test or of a person at a running demo. Out: JSON. Nothing here is ever met by a rule or written to the
journal.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from modelfetch.devcluster.hub.access import refusal
from modelfetch.devcluster.hub.journal import Journal
from modelfetch.devcluster.hub.listing import as_json
from modelfetch.devcluster.hub.message import Answer, Request
from modelfetch.devcluster.hub.rules import RuleBook, parse_rules

PREFIX = "/_fixture"
USAGE = {
    "GET /_fixture/rules": "the rules in force, with their hits",
    "POST /_fixture/rules": "add one rule or a list of rules; answers their names",
    "DELETE /_fixture/rules": "remove all rules; /_fixture/rules/NAME removes one",
    "GET /_fixture/requests": "the journal; ?since=NUMBER for later ones, ?path=REGEXP for some",
    "DELETE /_fixture/requests": "forget the journal",
    "POST /_fixture/expire-urls": "let every CDN URL given out so far be expired",
    "POST /_fixture/revoke/NAME": "let the token of this name be unknown",
}


@dataclass(frozen=True)
class Control:
    """Answers /_fixture of one hub."""

    rules: RuleBook
    journal: Journal
    expire_urls: Callable[[], None]
    revoke: Callable[[str], bool]

    def answer(self, request: Request) -> Answer:
        """Return the answer; unknown doors get 404 with the list of doors."""
        verb, _, name = request.path.removeprefix(PREFIX).strip("/").partition("/")
        match request.method, verb, name:
            case "GET", "", "":
                return as_json(USAGE)
            case "GET", "rules", "":
                return as_json(self.rules.describe())
            case "POST", "rules", "":
                return self._add(request)
            case "DELETE", "rules", _:
                return self._remove(name)
            case "GET", "requests", "":
                return self._requests(request)
            case "DELETE", "requests", "":
                self.journal.clear()
                return as_json({})
            case "POST", "expire-urls", "":
                self.expire_urls()
                return as_json({})
            case "POST", "revoke", _ if self.revoke(name):
                return as_json({})
        return refusal(404, None, "no such door, try one of: " + "; ".join(USAGE))

    def _add(self, request: Request) -> Answer:
        try:
            rules = parse_rules(request.body)
        except ValidationError as error:
            return refusal(422, None, "; ".join(f"{_place(row['loc'])}: {row['msg']}" for row in error.errors()))
        return as_json({"names": [self.rules.add(rule) for rule in rules]})

    def _remove(self, name: str) -> Answer:
        if not name:
            self.rules.clear()
        elif not self.rules.remove(name):
            return refusal(404, None, f"no rule is named '{name}'")
        return as_json({})

    def _requests(self, request: Request) -> Answer:
        query = request.query
        try:
            since, path = int(query.get("since", ["0"])[-1]), re.compile(query.get("path", [""])[-1])
        except (ValueError, re.error) as error:
            return refusal(422, None, f"since is a number and path a regexp: {error}")
        records = (record for record in self.journal.records() if record.number > since and path.search(record.path))
        return as_json([record.describe() for record in records])


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)
