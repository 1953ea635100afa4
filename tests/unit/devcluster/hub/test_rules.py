"""Which requests a rule meets, and which rules are refused."""

import pytest
from pydantic import ValidationError

from modelfetch.devcluster.hub import Cut, Delay, Match, Rule
from modelfetch.devcluster.hub.rules import RuleBook, parse_rules

REQUEST = ("GET", "/acme/tiny/resolve/main/a%20b?x=1", "hub", {"range": "bytes=5-"})


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        (Match(), True),
        (Match(method="GET"), True),
        (Match(method="HEAD"), False),
        (Match(port="hub"), True),
        (Match(port="cdn"), False),
        (Match(path="a%20b"), True),
        (Match(path=r"\?x=1$"), True),
        (Match(path="^/api"), False),
        (Match(headers={"Range": "bytes=5"}), True),
        (Match(headers={"Range": None}), False),
        (Match(headers={"If-Range": None}), True),
        (Match(headers={"If-Range": "x"}), False),
    ],
)
def test_fits(match: Match, fits: bool) -> None:
    """Everything that a match names must hold; what it leaves out does not matter."""
    assert fits == match.fits(*REQUEST)


@pytest.mark.parametrize(
    ("match", "met"),
    [
        (Match(), [1, 2, 3, 4]),
        (Match(nth=2), [2]),
        (Match(count=2), [1, 2]),
        (Match(skip=1), [2, 3, 4]),
        (Match(skip=1, count=2), [2, 3]),
    ],
)
def test_counts(match: Match, met: list[int]) -> None:
    """Of the requests that fit, nth, skip and count choose the ones that are met."""
    book = RuleBook()
    name = book.add(Rule(match=match, actions=(Cut(after=1),)))
    hits = [number for number in (1, 2, 3, 4) if book.take(*REQUEST)[1]]

    assert met == hits
    assert len(met) == book.hits(name)


def test_other_requests_do_not_count() -> None:
    """Only requests that fit are counted: the first on the CDN is its first, whatever came to the hub."""
    book = RuleBook()
    book.add(Rule(match=Match(port="cdn", nth=1), actions=(Cut(after=1),)))
    book.take(*REQUEST)

    assert [Cut(after=1)] == book.take("GET", "/", "cdn", {})[1]


def test_order() -> None:
    """The actions of all rules that meet a request come in the order in which the rules were added."""
    book = RuleBook()
    names = [book.add(Rule(actions=(Cut(after=1), Delay(seconds=0)))), book.add(Rule(actions=(Cut(after=2),)))]

    assert (names, [Cut(after=1), Delay(seconds=0), Cut(after=2)]) == book.take(*REQUEST)


def test_same_name_starts_anew() -> None:
    """A rule added under a name in use replaces it, and counts from zero."""
    book = RuleBook()
    for after in (1, 2):
        book.add(Rule(name="mine", match=Match(nth=1), actions=(Cut(after=after),)))
        actions = book.take(*REQUEST)[1]

    assert [Cut(after=2)] == actions
    assert 1 == book.hits("mine")


def test_remove() -> None:
    """A removed rule meets nothing; removing it again says so."""
    book = RuleBook()
    name = book.add(Rule(actions=(Cut(after=1),)))

    assert (True, False) == (book.remove(name), book.remove(name))
    assert ([], []) == book.take(*REQUEST)


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"actions": []}',
        b'{"actions": [{"do": "cutt", "after": 1}]}',
        b'{"actions": [{"do": "cut"}]}',
        b'{"actions": [{"do": "cut", "after": -1}]}',
        b'{"actions": [{"do": "cut", "after": 1, "unknown": 1}]}',
        b'{"actions": [{"do": "delay", "seconds": 0}], "match": {"path": "("}}',
        b'{"actions": [{"do": "delay", "seconds": 0}], "match": {"port": "api"}}',
        b"not json",
    ],
)
def test_refused(text: bytes) -> None:
    """A rule that cannot be carried out as written is refused."""
    with pytest.raises(ValidationError):
        parse_rules(text)


@pytest.mark.parametrize("text", [b'{"actions":[{"do":"cut","after":1}]}', b' [{"actions":[{"do":"cut","after":1}]}]'])
def test_one_or_a_list(text: bytes) -> None:
    """JSON gives the same rule alone and in a list."""
    assert [Rule(actions=(Cut(after=1),))] == parse_rules(text)


def test_describe() -> None:
    """What describes the book can be sent back as rules."""
    book = RuleBook()
    book.add(Rule(match=Match(nth=2), actions=(Cut(after=1),), name="mine"))
    row = book.describe()[0]

    assert 0 == row.pop("hits")
    assert Rule(match=Match(nth=2), actions=(Cut(after=1),), name="mine") == Rule.model_validate(row)
