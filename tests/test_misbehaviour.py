"""Generated models: whatever a model answers, each accepted message has its record and the conversation lives.

`make test` tries some scripts, the same every time; with SOAK=1 there are hundreds.
"""

import json
from typing import Any

import pytest
import sqlalchemy as sql
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from course import Lab
from course.desk import ConversationWorkflow
from course.desk.services.shop import ORDERS
from course.lab import Conversation
from course.lessons import record_tables
from course.lessons.lesson_04 import LIMIT_CENTS, ProposalWorkflow
from course.models import Fails, ToolCall
from course.models.offline import Step, status_error
from tests.generating import odd_text, swept
from tests.lab_helpers import settled, task_failures

# What a model may answer

ORDER_IDS = ["1042", "1043", "1044", "1045", "1046"]
TOOLS = ["look_up_order", "check_stock"]

numbers = st.one_of(
    st.integers(-100, 10_000),
    st.sampled_from([0, -1, 2**31, 2**63, -(2**63) - 1, 10**30, -(10**400), 10**4000]),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.floats(), odd_text, st.sampled_from(ORDER_IDS)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(odd_text, inner, max_size=3)),
    max_leaves=5,
)
arguments = st.one_of(
    st.fixed_dictionaries({"order_id": st.sampled_from(ORDER_IDS)}),
    st.fixed_dictionaries({"plant": st.sampled_from(["Monstera", "ficus", "no such plant"])}),
    st.fixed_dictionaries({"order_id": json_values}),
    st.fixed_dictionaries({"plant": json_values, "order_id": json_values}),
    json_values.map(json.dumps),
    st.sampled_from(["", "{", '{"order_id": "1042"', '{"order_id": "\\ud83d"}', "NaN", "[" * 5_000, "null"]),
    st.text(max_size=30),
)
calls = st.builds(
    ToolCall,
    st.one_of(
        st.sampled_from(TOOLS),
        st.sampled_from([*TOOLS, "issue_refund", "save_to_database", "", "look up order"]),
    ),
    arguments,
)
refusals = st.one_of(
    st.sampled_from([400, 401, 403, 404, 422]).map(lambda status: status_error(status, "Refused.")),
    st.builds(
        Fails, st.integers(1, 3), st.one_of(st.none(), odd_text, calls), st.sampled_from([429, 500, 503])
    ),
)
huge = st.sampled_from([30_000, 500_000, 1_500_000, 3_000_000]).map(lambda size: "word " * (size // 5))


def scripts(answers: SearchStrategy[Step]) -> SearchStrategy[list[Step]]:
    """What a model answers, call by call: a mixture, or the same again and again."""
    steps = st.one_of(answers, calls, st.lists(calls, min_size=1, max_size=5), refusals)
    again = st.tuples(st.one_of(calls, st.lists(calls, min_size=2, max_size=3)), st.integers(2, 15))
    return st.one_of(
        st.lists(steps, min_size=1, max_size=8),
        again.map(lambda what: [what[0]] * what[1]),
    )


def proposed(order_id: str, amount_cents: int) -> str:
    """An agent's output that proposes a refund."""
    refund = {"order_id": order_id, "amount_cents": amount_cents, "reason": "broken"}
    return json.dumps({"reply": "Here you are.", "refund": refund})


# What the sweep has found, each as it was then

FOUND = {
    "arguments nested too deeply": [ToolCall("look_up_order", "[" * 5_000)],
    "half a character in the arguments": [ToolCall("look_up_order", '{"order_id": "\\ud83d"}')],
    "half a character in the answer": ["\ud83d"],
    "an answer over the limit of a payload": ["word " * 600_000],
    "answers that together are over it": ["word " * 150_000] * 3,
    "arguments that together are over it": [ToolCall("look_up_order", '{"order_id": "%s"}' % ("9" * 900_000))]
    * 3,
    "a number that is too long to print": [proposed("1042", -(10**400))],
    "a decision without a word": [json.dumps({"reply": " ", "refund": None})],
}
OF_PROPOSALS = ("a number that is too long to print", "a decision without a word")


LAB = {"workflows": [ConversationWorkflow, ProposalWorkflow]}
MESSAGES = ["Where is order 1042?", "Please refund 26 EUR for order 1044.", "And now?"]


async def talk(lab: Lab, workflow: type, script: list[Step]) -> Conversation:
    """Sends the messages to a model that plays the script, then one to a model that is well."""
    lab.model.script = script
    chat = await lab.converse(workflow, "ada")
    for message in MESSAGES:
        await settled(chat, chat.begin(message))
    lab.model.script = []
    assert "Order 1043: 2 × Ficus" in await settled(chat, chat.begin("Where is order 1043?"))
    assert not task_failures(await chat.history())
    return chat


@swept(8, 300)
@given(scripts(st.one_of(odd_text, huge)))
async def test_every_message_has_its_record_and_the_conversation_lives(lab: Lab, script: list[Step]) -> None:
    chat = await talk(lab, ConversationWorkflow, script)
    rows = lab.table("turns")
    rows = rows[rows.conversation == chat.id].sort_values("turn")
    assert rows.turn.tolist() == [1, 2, 3, 4]
    assert rows.message.tolist() == [*MESSAGES, "Where is order 1043?"]
    assert rows.answer.str.strip().astype(bool).all()
    assert rows.outcome.isin(["answered", "apologised"]).all()
    assert lab.table("refunds").empty


PAID = {order_id: paid for order_id, _, _, _, paid, _ in ORDERS}


@st.composite
def decisions(draw: Any) -> str:
    """An agent's output: a proposal as it should be, one that is not rightful, or nothing that can be read."""
    proposal = draw(
        st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {
                    "order_id": st.one_of(st.sampled_from(ORDER_IDS), odd_text),
                    "amount_cents": st.one_of(
                        st.sampled_from([1, 2600, 3400, LIMIT_CENTS, LIMIT_CENTS + 1]), numbers
                    ),
                    "reason": odd_text,
                }
            ),
            json_values,
        )
    )
    return json.dumps({"reply": draw(st.one_of(st.just("Here you are."), json_values)), "refund": proposal})


@swept(8, 300)
@given(scripts(st.one_of(decisions(), decisions(), odd_text, huge)))
async def test_no_refund_without_a_rightful_proposal_and_none_twice(lab: Lab, script: list[Step]) -> None:
    with lab.world.services.database.engine.begin() as connection:
        connection.execute(sql.delete(record_tables.refunds))
    await talk(lab, ProposalWorkflow, script)
    proposed = [refund for step in script for refund in proposals_in(step)]
    refunds = lab.table("refunds")
    assert refunds.order_id.is_unique
    for refund_id, order_id, cents in refunds.itertuples(index=False):
        assert (order_id, cents) in [
            *proposed,
            ("1044", 2600),
        ]  # the rules propose what the customer asked for
        assert refund_id == f"order-{order_id}"
        assert 0 < cents <= min(LIMIT_CENTS, PAID[order_id])


def proposals_in(step: Any) -> list[tuple[Any, Any]]:
    said = step.then if isinstance(step, Fails) else step
    try:
        refund = json.loads(said)["refund"]
        return [(refund["order_id"], refund["amount_cents"])]
    except (TypeError, ValueError, KeyError):
        return []


@pytest.mark.parametrize("name", FOUND)
async def test_what_the_sweep_has_found_stays_mended(lab: Lab, name: str) -> None:
    workflow = ProposalWorkflow if name in OF_PROPOSALS else ConversationWorkflow
    await talk(lab, workflow, FOUND[name])


async def test_a_rightful_proposal_is_paid_once(lab: Lab) -> None:
    """The sweep would also pass if nothing were ever paid."""
    with lab.world.services.database.engine.begin() as connection:
        connection.execute(sql.delete(record_tables.refunds))
    await talk(lab, ProposalWorkflow, [proposed("1042", 3400)] * 3)
    assert lab.table("refunds").order_id.tolist() == ["1042"]
