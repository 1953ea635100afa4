"""What consumers of a model may see, given which publishes and removals have begun and which have told their end.

Comes in: events in the order in which they happened. Goes out: all (owner, content) that are right then; where nothing
is at work, exactly one. Written without the code under test: a publish writes the owner, then the content, and starts
over where a removal took something away; a removal hides a model that it saw as its own, and either gives it back,
where it has another owner by then, or ends it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

Seen = tuple[str | None, str | None]
NOTHING: Seen = (None, None)
MOST_HIDDEN = 2
"""More removals of one model than this are not killed one after the other."""


@dataclass(frozen=True)
class Task:
    """A publish of `content` for an owner, or, without content, the removal of what the owner has."""

    number: int
    model: str
    owner: str
    content: str | None


@dataclass(frozen=True)
class World:
    """One way in which it may have gone so far."""

    seen: Seen
    hidden: frozenset[tuple[Seen, str]] = frozenset()
    """What lies in the trash, and for which owner's removal."""
    claimed: frozenset[int] = frozenset()
    """Removals that saw the model as their own."""
    ended: frozenset[int] = frozenset()
    """Tasks that have done what they are for."""


@dataclass
class Ledger:
    """One model's history."""

    worlds: set[World]
    at_work: dict[int, Task] = field(default_factory=dict)

    @classmethod
    def of(cls, seen: Seen) -> "Ledger":
        """Return the history of a model that stands like this."""
        return cls({World(seen)})

    def begin(self, task: Task) -> None:
        """The task may do something from now on."""
        self.at_work[task.number] = task

    def end(self, task: Task) -> None:
        """The task has told that it is done."""
        self._spread()
        self.worlds = {world for world in self.worlds if task.number in world.ended}
        del self.at_work[task.number]
        self.worlds = {replace(world, ended=world.ended - {task.number}) for world in self.worlds}

    def abandon(self, task: Task) -> None:
        """The task was killed: it may have done anything so far, and does nothing any more."""
        self._spread()
        del self.at_work[task.number]
        self.worlds = {
            replace(world, claimed=world.claimed - {task.number}, ended=world.ended - {task.number})
            for world in self.worlds
        }

    def observe(self, seen: Seen) -> bool:
        """Forget all ways that it cannot have gone, as this is what is seen; False if it cannot be seen."""
        if seen not in self.right():
            return False
        exact = {world for world in self.worlds if world.seen == seen}
        self.worlds = exact or {replace(world, seen=seen) for world in self.worlds if _is_near(world.seen, seen)}
        return True

    def right(self) -> set[Seen]:
        """Return what may be seen: owner and content are two files, so each is right or wrong by itself."""
        self._spread()
        owners, contents = ({world.seen[part] for world in self.worlds} for part in (0, 1))
        return {(owner, content) for owner in owners for content in contents}

    def _spread(self) -> None:
        fresh = set(self.worlds)
        while fresh:
            fresh = {after for world in fresh for after in self._next(world)} - self.worlds
            self.worlds |= fresh

    def _next(self, world: World) -> Iterator[World]:
        for task in self.at_work.values():
            if task.number in world.ended:
                continue
            yield from _publish(world, task) if task.content is not None else _remove(world, task)


def _is_near(world: Seen, seen: Seen) -> bool:
    return world[0] == seen[0] or world[1] == seen[1]


def _publish(world: World, task: Task) -> Iterator[World]:
    owner, content = world.seen
    yield replace(world, seen=(task.owner, content))
    yield replace(world, seen=(owner, task.content))
    # A folder may be moved away under the hands of a publisher.
    for hidden in world.hidden:
        rest, (seen, remover) = world.hidden - {hidden}, hidden
        yield replace(world, hidden=rest | {((task.owner, seen[1]), remover)})
        yield replace(world, hidden=rest | {((seen[0], task.content), remover)})
    if world.seen == (task.owner, task.content):
        yield replace(world, ended=world.ended | {task.number})


def _remove(world: World, task: Task) -> Iterator[World]:
    if world.seen[0] == task.owner and len(world.hidden) < MOST_HIDDEN:
        yield replace(world, claimed=world.claimed | {task.number})
    elif not world.hidden:
        yield replace(world, ended=world.ended | {task.number})
    if task.number in world.claimed and world.seen != NOTHING:
        claimed = world.claimed - {task.number}
        yield replace(world, seen=NOTHING, hidden=world.hidden | {(world.seen, task.owner)}, claimed=claimed)
    for hidden in world.hidden:
        rest, (seen, remover) = world.hidden - {hidden}, hidden
        is_over = seen[0] in (remover, None) or world.seen != NOTHING
        yield replace(world, hidden=rest) if is_over else replace(world, hidden=rest, seen=seen)
