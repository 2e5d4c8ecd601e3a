"""Which turn of a conversation an event belongs to.

A turn begins with a message from outside: an update that the workflow accepted, or a signal. Which of them
are turns, and what belongs to which, the record says in one of two ways.

**Marked.** A newer SDK writes on every command that a handler issues, or a task that the handler left
behind, which message it was (`event_group_markers`). So a turn is a message to a handler that the record
shows to have started work: an activity, a child workflow, a Nexus operation. A `close` signal or an
approval that only sets a flag opens none. Work that the workflow's main function starts is in no turn.

**Unmarked.** In older histories, and where handlers only fill a queue for the main function, no command
says whose it was, and order must do. Every accepted update is a turn, and so is every signal that carries an
argument. An event belongs to the oldest update not yet answered, else to the last message; a signal without
an argument (`close`, say) ends the turn before it. This goes wrong where turns overlap, and the record
cannot say so.

The SDK's own messages (names that begin with `__temporal_`, such as those of a stream) are never turns. An
update id that comes again in a later run is the same turn.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from course.history.executions import Activity, message_behind
from course.history.reading import Run, numbered

ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
COMPLETED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED
SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
ADMITTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED
_OTHER_WORK = {
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
    EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED,
}
_MESSAGES = {ACCEPTED, COMPLETED, SIGNALED, ADMITTED}


def update_key(accepted: Any) -> tuple[str, str]:
    """What a marker calls the update whose acceptance this is."""
    return "update", accepted.accepted_request.meta.update_id or accepted.protocol_instance_id


@dataclass(slots=True, eq=False)
class Message:
    """An update that was accepted, or a signal."""

    key: tuple  # what a marker calls it
    kind: str  # "update" or "signal"
    name: str
    position: int
    arguments: list[Payload]
    answered: int | None = None  # the position of the update's completion
    outcome: Any = None
    turn: int | None = None


class Turns:
    """The turns of a conversation: `messages`, those that open one with their `turn`, and `turn_of` an event."""

    def __init__(self, runs: list[Run], activities: list[Activity]) -> None:
        self.messages: list[Message] = []
        self._run_starts: list[int] = []
        started_work = {activity.message for activity in activities} - {None}
        for number, first, run in numbered(runs):
            self._run_starts.append(first)
            open_updates: dict[int, Message] = {}
            requests: dict[str, Any] = {}
            for place, kind, event in run.of_kinds(_MESSAGES | _OTHER_WORK):
                if kind in _MESSAGES:
                    self._note(number, first + place, event, open_updates, requests)
                elif message := message_behind(number, event):
                    started_work.add(message)
        self.are_marked = bool(started_work)
        self._number(started_work)
        self._changes = list(self._order()) if not self.are_marked else []

    def turn_of(self, position: int, message: tuple | None) -> int | None:
        """The turn of a command, from its position and the message behind it; None outside any turn."""
        if self.are_marked:
            return self._by_key.get(message)
        at = bisect_right(self._changes, position, key=lambda change: change[0]) - 1
        return self._changes[at][1] if at >= 0 else None

    def turn_of_message(self, key: tuple) -> int | None:
        return self._by_key.get(key)

    def _note(self, run: int, position: int, event: HistoryEvent, open_updates: dict, requests: dict) -> None:
        if event.event_type == SIGNALED:
            signal = event.workflow_execution_signaled_event_attributes
            key, arguments = ("signal", run, event.event_id), list(signal.input.payloads)
            message = Message(key, "signal", signal.signal_name, position, arguments)
        elif event.event_type == ADMITTED:  # after a reset: the request stands here, not in the acceptance
            admitted = event.workflow_execution_update_admitted_event_attributes.request
            requests[admitted.meta.update_id] = admitted
            return
        elif event.event_type == COMPLETED:
            completed = event.workflow_execution_update_completed_event_attributes
            if message := open_updates.pop(completed.accepted_event_id, None):
                message.answered, message.outcome = position, completed.outcome
            return
        else:
            accepted = event.workflow_execution_update_accepted_event_attributes
            key = update_key(accepted)
            request = requests.get(key[1], accepted.accepted_request)
            arguments = list(request.input.args.payloads)
            message = Message(key, "update", request.input.name, position, arguments)
            open_updates[event.event_id] = message
        if not message.name.startswith("__temporal_"):
            self.messages.append(message)

    def _number(self, started_work: set[tuple]) -> None:
        handlers = {(m.kind, m.name) for m in self.messages if m.key in started_work}
        self._by_key: dict[tuple | None, int] = {}
        for message in self.messages:
            if self.are_marked:
                opens = (message.kind, message.name) in handlers
            else:
                opens = message.kind == "update" or bool(message.arguments)
            if opens:
                message.turn = self._by_key.setdefault(message.key, len(self._by_key) + 1)

    def _order(self) -> Iterator[tuple[int, int | None]]:
        """Where no command is marked: each position at which the turn changes, and the turn from there on."""
        moments = [(start, "run", None) for start in self._run_starts]
        for message in self.messages:
            moments.append((message.position, "begins", message))
            if message.answered is not None:
                moments.append((message.answered, "answered", message))
        unanswered: dict[tuple, Message] = {}
        last = None
        for position, what, message in sorted(moments, key=lambda moment: moment[0]):
            if what == "run":
                unanswered, last = {}, None
            elif what == "answered":
                unanswered.pop(message.key, None)
            else:
                last = message.turn
                if message.kind == "update":
                    unanswered[message.key] = message
            yield position, next((m.turn for m in unanswered.values()), last)
