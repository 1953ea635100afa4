"""A Lease of a backup of etcd, and one that nobody renewed for long: what is Ready has to be looked for."""

import asyncio

import pytest

from modelfetch.controller.leadership import LOOK_S, WRITES_S
from modelfetch.core.lease import UNLED_S
from tests.unit.controller.leadership.lease_server import LeaseServer, Line
from tests.unit.controller.leadership.replicas import (
    Replica,
    leader_and_waiting,
    leading,
    restored_without_a_leader,
    run,
    until,
)


def test_a_cluster_restored_from_a_backup_is_led_by_who_has_not_seen_its_future():
    """The Lease is of an earlier version than its holder wrote: it ends, and leaves the Lease to whoever comes."""

    async def case() -> float:
        server, first, second = await leader_and_waiting()
        backup = server.back_up()
        await asyncio.sleep(30)
        server.restore(backup)
        await until(lambda: first.has_ended)
        assert first.leadership.is_held
        await first.end()
        seconds = await until(lambda: second.leadership.is_held)
        assert second.leadership.asks
        return seconds

    assert run(case) <= LOOK_S + 1


def test_a_backup_that_could_not_be_written_down_is_found_again():
    """The API server takes no write just then: the leader goes on, and ends when its Lease says what has to be done."""

    async def case() -> None:
        server, first, second = await leader_and_waiting()
        backup = server.back_up()
        await asyncio.sleep(30)
        server.restore(backup)
        first.line.takes_writes = False
        await asyncio.sleep(WRITES_S / 2)
        assert not first.has_ended
        first.line.takes_writes = True
        await until(lambda: first.has_ended)
        first.kill()
        await until(lambda: second.leadership.is_held)
        assert second.leadership.asks

    run(case)


def test_who_waits_sees_a_backup_too():
    """The leader was gone by then."""

    async def case() -> None:
        _, second = await restored_without_a_leader()
        await until(lambda: second.leadership.is_held)
        assert second.leadership.asks
        second.has_checked = True
        await until(lambda: not second.leadership.asks)
        await asyncio.sleep(60)
        assert second.may_write

    run(case)


def test_a_leader_that_sees_the_lease_of_one_before_it_writes_down_why():
    """Whoever takes that Lease, once it is stale, was not there to see that it is of a backup."""

    async def case() -> None:
        server, first, second = await leader_and_waiting()
        backup = server.back_up()
        await first.end()
        await until(lambda: second.leadership.is_held)
        await asyncio.sleep(30)
        server.restore(backup)
        await until(lambda: second.has_ended)
        assert not second.leadership.is_held
        assert (await leading(server, "third")).leadership.asks

    run(case)


def test_what_one_who_waits_has_seen_another_who_leads_hears():
    """A replica that has come since, and knew no newer Lease, may lead before it."""

    async def case() -> None:
        server, second = await restored_without_a_leader()
        again = await leading(server, "first")  # its container is started again: it need not wait
        await until(lambda: bool(again.leadership.asks))
        words = again.leadership.asks
        await asyncio.sleep(60)
        assert (words, False) == (again.leadership.asks, second.leadership.is_held)
        again.has_checked = True
        await until(lambda: not again.leadership.asks)
        assert again.may_write

    run(case)


def test_one_that_is_stopped_before_it_could_write_down_a_backup():
    """It does so with its last write."""

    async def case() -> None:
        server, first, second = await leader_and_waiting()
        second.kill()
        backup = server.back_up()
        await asyncio.sleep(30)
        server.restore(backup)
        first.line.takes_writes = False
        await asyncio.sleep(6)
        first.line.takes_writes = True
        await first.end()
        assert (await leading(server, "third")).leadership.asks

    run(case)


def test_a_blank_lease_of_a_backup_is_not_taken_at_once():
    """Somebody may have led when etcd was restored, and send writes until it notices."""

    async def case() -> float:
        server, first, second = await leader_and_waiting()
        await first.end()
        backup = server.back_up()
        assert server.stored is not None
        assert "" == server.stored["spec"]["holderIdentity"]
        await until(lambda: second.leadership.is_held)
        third = Replica("third", Line(server))
        third.start()
        await asyncio.sleep(30)
        server.restore(backup)
        seconds = await until(lambda: third.leadership.is_held)
        assert third.leadership.asks
        return seconds

    assert run(case) >= WRITES_S


@pytest.mark.parametrize(("away_s", "must_check"), [(UNLED_S - 60, False), (UNLED_S + 60, True)])
@pytest.mark.parametrize("ends", ["in good order", "killed"])
def test_after_a_long_time_without_a_leader_all_is_checked(away_s, must_check, ends):
    """The Lease may be of a backup: nobody is left who knew a newer one."""

    async def case() -> None:
        server = LeaseServer()
        first, second = Replica("first", Line(server)), Replica("second", Line(server))
        first.start()
        await until(lambda: first.leadership.is_held)
        first.has_checked = True
        await asyncio.sleep(60)
        if ends == "killed":
            first.kill()
        else:
            await first.end()
        await asyncio.sleep(away_s)
        second.start()
        await until(lambda: second.leadership.is_held)
        assert must_check is bool(second.leadership.asks)

    run(case)


@pytest.mark.parametrize("has_checked", [True, False])
def test_what_was_checked_by_one_that_is_stopped_is_not_checked_again(has_checked):
    """Its last write says so, where it has not renewed since; what was not checked is left to the next one."""

    async def case() -> None:
        server = LeaseServer()
        first = await leading(server, "first")
        first.has_checked = has_checked
        await first.end()
        assert has_checked is not bool((await leading(server, "second")).leadership.asks)

    run(case)


def test_what_has_to_be_checked_is_so_until_it_was():
    """One that ends before leaves it to the next; a word of somebody else's on the Lease stays."""

    async def case() -> None:
        server = LeaseServer()
        first, second, third = (Replica(name, Line(server)) for name in ("first", "second", "third"))
        first.start()
        await until(lambda: first.leadership.is_held)
        assert server.stored is not None
        server.stored["metadata"]["annotations"]["team"] = "ml"
        server.replace(server.find())
        await asyncio.sleep(60)
        await first.end()
        second.start()
        await until(lambda: second.leadership.is_held)
        assert second.leadership.asks
        second.has_checked = True
        await until(lambda: not second.leadership.asks)
        second.kill()
        third.start()
        await until(lambda: third.leadership.is_held)
        assert not third.leadership.asks
        assert {"team": "ml"} == server.stored["metadata"]["annotations"]

    run(case)
