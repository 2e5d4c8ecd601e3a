"""An offline model that proposes what it was not offered: for lessons and tests about who permits a move."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

from agents import Model, ModelResponse
from temporalio import activity

from .filling import choices
from .offline import OfflineModel
from .wire import as_json


class Defiant(Model):
    """Whatever a customer writes, it proposes a move: in each state first, once each, those that its instructions
    do not list; then one that they do, to where it has most left to try.

    Args:
        states: the names that it knows.
    """

    def __init__(self, states: Sequence[str]) -> None:
        self._states = list(states)
        self._left: dict[str, dict[str, list[str]]] = {}  # conversation -> state -> untried there
        self._said: dict[tuple[str, str], str] = {}  # conversation, logical call -> what it proposed

    async def get_response(
        self, system_instructions: Any, input: Any, *rest: Any, **more: Any
    ) -> ModelResponse:
        info = activity.info()
        call = str(info.workflow_id), info.activity_id
        if call not in self._said:
            self._said[call] = as_json(self._proposal(call[0], system_instructions or ""))
        model = OfflineModel(script=[self._said[call]])
        return await model.get_response(system_instructions, input, *rest, **more)

    def _proposal(self, conversation: str, instructions: str) -> dict[str, str | None]:
        offered = list(choices("move", instructions))
        found = re.search(r"The ticket is in ([\w-]+)", instructions)
        left = self._left.setdefault(conversation, {})
        here = left.setdefault(
            found[1] if found else "", [state for state in self._states if state not in offered]
        )
        if here:
            return {"reply": "As you wish.", "move": here.pop(0)}
        furthest = max(offered, key=lambda state: len(left.get(state, self._states)), default=None)
        return {"reply": "As you wish.", "move": furthest}

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise NotImplementedError("This model does not stream.")
