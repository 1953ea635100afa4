"""Silence is counted on the operator's own clock."""

from datetime import UTC, datetime, timedelta

from modelfetch.controller.silences import Silences

TOLD = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_silence_counts_from_the_first_sight_of_the_last_report():
    """Whatever the node's clock says; a look that read nothing is no word, and a new report ends the silence."""
    now = [0.0]
    silences = Silences(lambda: now[0])
    heard = []
    for seconds, told_at in [
        (0, None),
        (10, TOLD),
        (40, TOLD),
        (50, None),
        (60, TOLD + timedelta(seconds=1)),
        (70, None),
    ]:
        now[0] = float(seconds)
        heard.append(silences.heard("pod", told_at))

    assert [0, 0, 30, 40, 0, 10] == heard


def test_who_was_not_asked_has_not_kept_silent():
    """Of many the operator reads few at a time; what it knew of the others it still knows."""
    now = [0.0]
    silences = Silences(lambda: now[0])
    lasting = [silences.last("pod")]
    silences.heard("pod", TOLD)
    for seconds in (200.0, 500.0):
        now[0] = seconds
        lasting.append(silences.last("pod"))
    lasting += [silences.heard("pod", TOLD), silences.last("pod")]

    assert [0, 0, 0, 500, 500] == lasting


def test_a_pod_that_is_gone_is_forgotten():
    """A new one begins anew, and nothing is kept."""
    silences = Silences(lambda: 0.0)
    silences.heard("pod", TOLD)
    silences.forget("pod")

    assert {} == silences._heard
