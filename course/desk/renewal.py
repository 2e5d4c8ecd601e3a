"""When a conversation goes on in a new run, so that no history grows for ever.

A new run begins with an empty history and with what the old one hands over. What the old run has accepted
it must finish: a handler or a duty that is still at work would be cut off. So a duty that sleeps for days,
such as a reminder, would put the new run off for days: hand its deadline over instead, cancel its timer, and
start it again in the new run. Lessons 12 and 13 are about this.

A new run is also where a conversation that is pinned to its worker's version goes over to the version that has
become current: the old run has ended, so no history has to fit the new code. Lesson 16 is about this.
"""

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from temporalio import workflow

EVENTS = 2_000
"""Events of a run: some fifty turns. The server suggests a new run at 4,096 events, and ends one at 51,200."""

BYTES = 2 * 1024 * 1024
"""Of a run's history. The server suggests a new one at 4 MiB, and ends one at 50 MiB."""

TURNS_UNTIL_HOLD = 10
"""So long a run that is due waits for a pause between the messages. Then it makes one: see `until_idle`."""

HOLD = timedelta(minutes=1)
"""So long at most a reply is held back for the new run."""

MOST_CARRIED = 256 * 1024
"""Bytes of turns that are handed over. A workflow's input may hold 2 MiB."""


@dataclass
class Renewal:
    """Finds the moment for a new run."""

    events: int
    """At how many events a new run is due."""
    is_idle: Callable[[], bool]
    """Whether no handler and no duty is at work."""
    is_answered: Callable[[], bool]
    """Whether every accepted message has its answer."""
    duties: Callable[[], set[Any]]
    """Those that are at work."""
    turns: Callable[[], int]
    """How many turns there have been."""
    holding: bool = False
    """Whether replies are held back now."""

    def is_due(self) -> bool:
        run = workflow.info()
        return (
            run.is_continue_as_new_suggested()
            or run.get_current_history_length() >= self.events
            or run.get_current_history_size() >= BYTES
            # On record with each workflow task, so a replay reads the same. Never without versions.
            or run.is_target_worker_deployment_version_changed()
        )

    async def until_idle(self) -> None:
        """Returns when no handler and no duty is at work.

        Such a moment comes by itself when nobody writes. Senders that never pause leave none: whoever has
        a reply sends the next message. So after ten turns the replies are held back until all that was
        accepted is answered, and then go out together, in the same workflow task that ends the run. At
        most ten are held: a workflow takes ten updates in flight, and the server turns the others away, whose
        clients try again.

        Duties that come and go end, too, when no reply brings a message. But one that has been at work for
        these ten turns waits for something else (the mail server is down, say), and no reply waits for that.
        """
        while True:
            latest, before = self.turns() + TURNS_UNTIL_HOLD, set(self.duties())
            await workflow.wait_condition(
                lambda: (
                    self.is_idle()
                    or (self.turns() >= latest and before.isdisjoint(self.duties()))  # noqa: B023
                )
            )
            if self.is_idle():
                return
            self.holding = True
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self.is_answered() and not self.duties(), timeout=HOLD
                )
            self.holding = False

    async def hold_back(self) -> None:
        """Where a handler has its reply: returns when it may go out, which is nearly always at once."""
        if self.holding:
            await workflow.wait_condition(lambda: not self.holding)


def newest(turns: list[Any], least: int, most: int) -> list[Any]:
    """The last of some dataclasses, so many as fit: at least `least`, at most `most`."""
    kept, size = 0, 0
    for turn in reversed(turns[-most:]):
        size += len(json.dumps(asdict(turn), ensure_ascii=False).encode(errors="replace"))
        if size > MOST_CARRIED and kept >= least:
            break
        kept += 1
    return turns[len(turns) - kept :]
