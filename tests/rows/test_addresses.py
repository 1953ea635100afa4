from modelfetch.reasons import Reason
from tests.rows.conftest import Voyage, outcome_of
from tests.rows.island import Site
from tests.rows.premises import Premises


def test_meta(premises, voyage):
    """x."""
    seen = voyage("http://169.254.169.254/latest/x", "--allow-http")
    assert [] == seen.packets
    premises.require_refused(outcome_of(seen), Reason.URL_NOT_ALLOWED, "169.254.169.254")


def test_control(premises, voyage):
    """x."""
    site = Site(80, {"meta.example/latest/x": (200, {"Content-Type": "text/plain"}, "hello")})
    seen = voyage(
        "http://meta.example/latest/x",
        "--allow-http",
        "--allow-network=169.254.0.0/16",
        "--name=model",
        names={"meta.example": [["169.254.169.254"]]},
        sites=(site,),
    )
    print(seen)
    premises.require_published(outcome_of(seen), {"x": b"hello"})
    assert ["tcp 169.254.169.254:80"] == seen.packets
