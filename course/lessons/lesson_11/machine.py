"""A state machine as data: what a ticket can be, which moves there are, and who may make each.

Nothing here knows of Temporal or of an agent. A workflow asks it before it moves, and a figure is drawn from it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

MOVERS = ("model", "customer", "staff", "clock")
"""Who may make a move: the model by proposing it, the customer by writing, staff by saying so, the clock by itself."""

TOOLS = ("look_up_order", "check_stock", "refund")
"""The names of all tools."""


@dataclass(frozen=True)
class State:
    """What an agent is told in this state, and which tools it has. It has no others."""

    instructions: str
    tools: tuple[str, ...] = ()
    answers: bool = True
    """Whether its agent answers the customer. If not, it only sorts: it proposes a move, and the message
    goes on to the next state."""


@dataclass(frozen=True)
class Move:
    """One legal move, and the one who may make it."""

    from_state: str
    to_state: str
    by: str
    when: str = ""
    """For the model: when this move is due. It is advice, which nobody checks."""
    after: timedelta | None = None
    """For the clock: after how long without a message or a move. Every message starts it again."""


@dataclass(frozen=True)
class Machine:
    """States by name, and the legal moves. A ticket begins in `start`; `ends_after` in `end`, it ends for good.

    Raises `ValueError`, with a sentence, for a state with no way in, or with no way to the end. It cannot ensure
    that anyone takes the way: in a state without a move by the clock, a ticket waits until somebody moves it.
    """

    start: str
    end: str
    ends_after: timedelta
    states: dict[str, State]
    moves: tuple[Move, ...]

    def moves_of(self, state: str, by: str) -> list[Move]:
        return [move for move in self.moves if (move.from_state, move.by) == (state, by)]

    def legal(self, state: str, by: str) -> list[str]:
        """The states to which `by` may move a ticket that is in `state`."""
        return [move.to_state for move in self.moves_of(state, by)]

    def refusal(self, state: str, to_state: str, by: str) -> str | None:
        """Why this move is not permitted, and which moves are; None if it is permitted."""
        legal = self.legal(state, by)
        if to_state in legal:
            return None
        return (
            f"From {state}, the {by} may not move the ticket to {to_state!r:.40}. "
            f"Legal would be: {', '.join(legal) or 'no move at all'}."
        )

    def move_of(self, state: str, by: str) -> Move | None:
        """The first move out of `state` that `by` may make."""
        return next(iter(self.moves_of(state, by)), None)

    def __post_init__(self) -> None:
        if problem := next(self._problems(), None):
            raise ValueError(problem)

    def _problems(self) -> Iterator[str]:
        """What is wrong with it, one sentence each. Only the first is certain: a problem may cause those after it."""
        if not isinstance(self.states, dict):
            yield (
                "`states` is a dict, from a name to a State. "
                'With one more: STATES | {"name": State(…)}.'
            )
        for name, state in self.states.items():
            yield from _problems_of_state(name, state)
        yield from self._unknown("The machine's start or end", self.start, self.end)
        for move in self.moves:
            if not isinstance(move, Move):
                yield (
                    f"`moves` holds a {type(move).__name__}, not a Move. "
                    "A tuple with more moves: (*MOVES, Move(…))."
                )
        for move in self.moves:
            name = f"The move from {move.from_state!r} to {move.to_state!r} by {move.by!r}"
            yield from self._unknown(name, move.from_state, move.to_state)
            yield from (f"{name}{problem}" for problem in self._problems_of_move(move))
        for state in self.states:
            yield from self._problems_of_way(state)

    def _unknown(self, what: str, *states: str) -> Iterator[str]:
        for state in states:
            if state not in self.states:
                there = ", ".join(self.states)
                yield f"{what}: there is no state {state!r}. There are: {there}."

    def _problems_of_move(self, move: Move) -> Iterator[str]:
        if move.by not in MOVERS:
            yield f": moves are made by {', '.join(MOVERS)}."
        if self.legal(move.from_state, move.by).count(move.to_state) > 1:
            yield " is there twice."
        if (move.by == "clock") != (move.after is not None):
            yield ": `after` is for the clock, which needs it, and for nobody else."
        if not isinstance(move.after, timedelta | None):
            such = "such as timedelta(days=2)"
            yield f": `after` is a timedelta, {such}, and not {move.after!r}."
        if (
            move.by in ("clock", "customer")
            and len(self.legal(move.from_state, move.by)) > 1
        ):
            yield f": the {move.by} cannot choose, and has two moves there."

    def _problems_of_way(self, state: str) -> Iterator[str]:
        none = "No moves lead from"
        if state not in self._reached_from(self.start):
            yield f"{none} {self.start!r} to {state!r}: no ticket would ever be there."
        if self.end not in self._reached_from(state):
            yield f"{none} {state!r} to {self.end!r}: a ticket there could never end."
        if not self.states[state].answers and not self.legal(state, "model"):
            yield (
                f"{state!r} has answers=False, so its model needs a move: a message would end there. "
                "Shall its agent answer the customer? Then leave `answers` True."
            )

    def _reached_from(self, state: str) -> set[str]:
        reached, new = {state}, {state}
        while new:
            new = {m.to_state for m in self.moves if m.from_state in new} - reached
            reached |= new
        return reached


def _problems_of_state(name: str, state: State) -> Iterator[str]:
    if not isinstance(state, State):
        yield f"The state {name!r} is a {type(state).__name__}, not a State."
    if isinstance(state.tools, str):
        yield (
            f"The state {name!r}: `tools` is a tuple, and one name in a tuple "
            f"needs a comma: ({state.tools!r},)."
        )
    for tool in state.tools:
        if tool not in TOOLS:
            named = repr(tool) if isinstance(tool, str) else f"a {type(tool).__name__}"
            there = ", ".join(TOOLS)
            yield f"The state {name!r}: {named} is not a tool. There are: {there}."
