"""The offline model: real agents and tools around it, no network, no mocks."""

import asyncio
import json
from enum import StrEnum
from typing import Any

import jsonschema
import pytest
from agents import AgentOutputSchema, ModelSettings, Runner, function_tool, handoff
from openai.types.responses import ResponseCompletedEvent
from pydantic import BaseModel

from course.models import OfflineModel
from course.models.choosing import Skill, is_duty
from course.models.filling import Facts, fill
from course.models.understanding import _MEANS, Turn, cents, clauses, known, number, orders, plants
from tests.offline_agents import (
    ALL,
    DUTY,
    ORDERS,
    READ,
    ask,
    check_stock,
    desk,
    issue_refund,
    look_up_order,
    opening_hours,
    rounds,
    save_to_database,
    say,
)

# Words


def test_words_are_listed_as_what_is_left_when_their_endings_are_off() -> None:
    """Otherwise they would never be found."""
    assert not [word for word in _MEANS if word.endswith(("e", "y", "ed", "ing", "ation"))]


# Tools


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Where is order 1042?", [("look_up_order", {"order_id": "1042"})]),
        ("wo ist Bestellung 1042", [("look_up_order", {"order_id": "1042"})]),
        ("1042, 1043", [("look_up_order", {"order_id": "1042"}), ("look_up_order", {"order_id": "1043"})]),
        ("Do you have a Ficus?", [("check_stock", {"plant": "Ficus"})]),
        ("Are Monsteras and ferns in stock?", [("check_stock", {"plant": p}) for p in ("Monstera", "Fern")]),
        ("Do you have a Strelitzia?", [("check_stock", {"plant": "Strelitzia"})]),
        ("cancel order 1042", [("cancel_order", {"order_id": "1042"})]),
        ("Order 1043 was a mistake, please cancel it.", [("look_up_order", {"order_id": "1043"})]),
        ("How often should I water my Monstera?", [("water_advice", {"plant": "Monstera"})]),
        ("When are you open?", [("opening_hours", {})]),
        ("Please reserve ten Aloes", [("reserve_plant", {"plant": "Aloe", "quantity": 10})]),
        ("Don't cancel order 1042!", [("look_up_order", {"order_id": "1042"})]),
        (
            "Refund 12.50 EUR for order 1042 and 8 EUR for 1043",
            [
                ("issue_refund", {"refund_id": "R-1042-1", "order_id": "1042", "amount_cents": 1250}),
                ("issue_refund", {"refund_id": "R-1043-1", "order_id": "1043", "amount_cents": 800}),
            ],
        ),
        ("Thank you!", []),
        ("My Monstera has yellow leaves", []),
        ("What plants do you have?", []),
        ("Which is better, tea or coffee?", []),
    ],
)
async def test_a_message_becomes_the_calls_that_it_asks_for(message: str, expected: list[Any]) -> None:
    result = await say(desk(*ALL), message)
    first = (rounds(result) or [[]])[0]
    assert [call for call in expected if call not in first] == []
    assert len(first) == len(expected) or "mistake" in message  # that one asks for two things


async def test_several_things_are_asked_for_at_once_and_every_result_is_in_the_answer() -> None:
    result = await say(desk(*READ), "Where are orders 1042 and 1043, and do you have a Ficus?")
    assert [[name for name, _ in calls] for calls in rounds(result)] == [
        ["look_up_order", "look_up_order", "check_stock"]
    ]
    for sentence in (ORDERS["1042"], ORDERS["1043"], "Ficus: 12 in stock, 29.00 EUR each."):
        assert sentence in result.final_output


async def test_a_refund_without_an_amount_looks_it_up_first() -> None:
    result = await say(desk(*ALL), "I want a refund for order 1042, it arrived broken")
    assert rounds(result) == [
        [("look_up_order", {"order_id": "1042"})],
        [("issue_refund", {"refund_id": "R-1042-1", "order_id": "1042", "amount_cents": 3400})],
    ]
    assert "Refund R-1042-1 of 34.00 EUR for order 1042 is paid." in result.final_output


async def test_each_order_is_refunded_with_its_own_amount() -> None:
    for message in ("Refund orders 1042 and 1043", "refund #1042 #1043"):
        _, refunds = rounds(await say(desk(*ALL), message))
        assert [arguments["amount_cents"] for _, arguments in refunds] == [3400, 5800]


async def test_it_claims_nothing_that_no_tool_said() -> None:
    unknown = await say(desk(*ALL), "refund order 7777")
    assert [name for calls in rounds(unknown) for name, _ in calls] == ["look_up_order"]
    assert "There is no order '7777'." in unknown.final_output
    assert "nothing was paid back" in unknown.final_output
    unable = await say(desk(*READ), "Cancel order 1042")
    assert "I have no tool that could cancel an order, so nothing was changed." in unable.final_output
    assert "no tool" in (await say(desk(), "Where is order 1042?")).final_output
    asked = desk(*READ, instructions="You cannot pay refunds: say that a colleague will decide.")
    assert "a colleague will decide" in (await say(asked, "I want a refund for 1042")).final_output


async def test_tool_results_of_every_shape_are_used() -> None:
    hours = await say(desk(opening_hours), "What are your opening hours?")
    assert "monday to friday: 9 to 18, saturday: 10 to 14" in hours.final_output

    @function_tool
    async def shipping_cost(country: str) -> float:
        """What delivery to a country costs."""
        return 4.9

    cost = await say(desk(shipping_cost), "What does shipping cost to Norway?")
    assert rounds(cost) == [[("shipping_cost", {"country": "Norway"})]]
    assert "Shipping cost: 4.9." in cost.final_output

    @function_tool
    async def look_up_order(order_id: str) -> str:
        """Look up an order."""
        raise RuntimeError("psycopg.OperationalError: no route to host")

    failed = await say(desk(look_up_order), "Where is order 1042?")
    assert "I am sorry: “look up order 1042” did not work" in failed.final_output
    assert "psycopg" not in failed.final_output


async def test_it_hands_over_to_the_colleague_whose_words_fit() -> None:
    refunds = desk(issue_refund, look_up_order).clone(name="Refunds", handoff_description="Pays money back")
    stock = desk(check_stock).clone(name="Stock", handoff_description="Knows the plants")
    triage = desk(handoffs=[refunds, stock])
    result = await say(triage, "Refund order 1042, please")
    assert [[name for name, _ in calls] for calls in rounds(result)] == [
        ["transfer_to_refunds"],
        ["look_up_order"],
        ["issue_refund"],
    ]
    assert (await say(triage, "Do you have a Ficus?")).last_agent.name == "Stock"
    assert (await say(triage, "Hello")).last_agent.name == "Desk"
    renamed = desk(handoffs=[handoff(stock, tool_name_override="ask_about_stock")])
    result = await say(renamed, "Do you have a Ficus?")
    assert result.last_agent.name == "Stock"
    assert result.final_output.startswith("Ficus: 12 in stock")


async def test_call_ids_are_unique_and_the_same_again() -> None:
    async def ids(model: OfflineModel) -> list[str]:
        found = []
        for _ in range(3):  # three turns without memory, word for word the same
            answer = await ask(model, "orders 1042 and 1043", READ)
            found += [item.call_id for item in answer.output]
        return found

    first = await ids(OfflineModel())
    assert len(set(first)) == 6
    assert await ids(OfflineModel()) == first


async def test_tool_choice_is_respected() -> None:
    none = await say(desk(*READ, model_settings=ModelSettings(tool_choice="none")), "Where is order 1042?")
    assert rounds(none) == []
    forced = await say(
        desk(*READ, opening_hours, model_settings=ModelSettings(tool_choice="opening_hours")), "Hi"
    )
    assert rounds(forced) == [[("opening_hours", {})]]


# Memory


async def test_it_remembers_what_it_is_given_and_nothing_else() -> None:
    agent = desk(*READ)
    told = ["Hello, I'm Ada", "Where is order 1042?", "My cat is called Rex.", "Is Aloe in stock?"]
    answers = {
        "What did I ask first?": "“Hello, I'm Ada”",
        "What did I just say?": "“Is Aloe in stock?”",
        "What did I tell you in turn 2?": "“Where is order 1042?”",
        "Which order did I ask about?": "order 1042",
        "What's my name?": "Your name is Ada.",
        "What is my cat called?": "Your cat is Rex.",
        "What is my dog called?": "You have not told me your dog.",
    }
    for question, answer in answers.items():
        assert answer in (await say(agent, *told, question)).final_output
        alone = await say(agent, question)
        assert answer not in alone.final_output
        assert "nothing before" in alone.final_output
    assert rounds(await say(agent, "Where is order 1042?", "Where is it now?"))[-1] == [
        ("look_up_order", {"order_id": "1042"})
    ]


# Duties


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        (DUTY, True),
        ("For every message, call save_to_database with the text.", True),
        ("After each answer:\n- call save_to_database\n- be kind", True),
        ("Always be kind. Use save_to_database when a customer asks for it.", False),
        ("Always call save_to_database if the customer is angry.", False),
        ("Use save_to_database for every question about orders.", False),
        ("", False),
    ],
)
def test_a_duty_is_a_tool_that_the_instructions_name_for_every_message(
    instructions: str, expected: bool
) -> None:
    assert is_duty(Skill.of("save_to_database", "", {}), instructions) is expected


async def test_a_duty_costs_a_model_call_of_its_own_only_where_nothing_else_was_due() -> None:
    agent = desk(*READ, save_to_database, instructions=DUTY)
    saved = ("save_to_database", {"task_id": "ada-1/turn-1", "data": "Hello"})
    alone = await say(agent, "Hello")
    assert rounds(alone) == [[saved]]
    assert len(alone.raw_responses) == 2
    assert len((await say(desk(*READ), "Hello")).raw_responses) == 1
    together = await say(agent, "Where is order 1042?")
    assert [[name for name, _ in calls] for calls in rounds(together)] == [
        ["look_up_order", "save_to_database"]
    ]
    assert "saved" not in together.final_output
    later = await say(agent, "Hello", "Where is order 1042?")
    assert [name for name, _ in rounds(later)[0]] == ["look_up_order", "save_to_database"]


async def test_arguments_follow_the_schema() -> None:
    class Record(BaseModel):
        message: str
        answer: str
        orders: list[str]
        urgent: bool
        turn: int

    @function_tool(strict_mode=False)
    async def keep_record(task_id: str, data: Record, note: dict[str, Any], channel: str = "webhook") -> str:
        return "kept"

    instructions = "Call keep_record for every message, with task_id='ada/turn-7'."
    result = await say(desk(keep_record, instructions=instructions), "Hello, this is urgent")
    [[(_, arguments)]] = rounds(result)
    assert arguments["task_id"] == "ada/turn-7"
    assert arguments["data"] | {"answer": ""} == {
        "message": "Hello, this is urgent", "answer": "", "orders": [], "urgent": True, "turn": 7,
    }  # fmt: skip
    assert Record.model_validate(arguments["data"]).answer.startswith("Hello!")
    early = await say(desk(*READ, keep_record, instructions=instructions), "Where is order 1042?")
    assert rounds(early)[0][1][1]["data"]["answer"] == "One moment: look up order 1042."


# Typed output


class Refund(BaseModel):
    order_id: str
    amount_cents: int
    reason: str


class Decision(BaseModel):
    reply: str
    refund: Refund | None


async def test_a_typed_decision_proposes_and_does_not_claim() -> None:
    agent = desk(look_up_order, output_type=Decision)
    wanted = (await say(agent, "I want a refund for order 1042, it arrived broken")).final_output
    assert wanted.refund == Refund(order_id="1042", amount_cents=3400, reason="it arrived broken")
    assert "I propose a refund of 34.00 for order 1042; the shop checks it" in wanted.reply
    assert (await say(agent, "Where is order 1042?")).final_output.refund is None
    assert (await say(agent, "I don't want a refund for order 1042")).final_output.refund is None
    assert (await say(agent, "refund 12.50 EUR for order 1042")).final_output.refund.amount_cents == 1250
    later = (await say(agent, "Where is order 1042?", "refund it, it died")).final_output
    assert later.refund.order_id == "1042"
    assert later.reply.startswith("I am sorry to hear that. I propose a refund of 34.00 for order 1042")
    unknown = (await say(agent, "refund order 7777")).final_output
    assert unknown.refund is None
    assert "To propose a refund, I need" in unknown.reply


async def test_typed_output_is_valid_against_any_schema() -> None:
    class Mood(StrEnum):
        CALM = "calm"
        ANGRY = "angry"

    class Tree(BaseModel):
        name: str
        children: list["Tree"]
        parent: "Tree | None"

    class Everything(BaseModel):
        mood: Mood
        score: float
        tags: list[str]
        nested: list[Refund]
        either: int | str
        maybe: str | None
        tree: Tree

    for kind in (Everything, Decision, list[Refund], dict[str, int], int, bool):
        output_type = AgentOutputSchema(kind, strict_json_schema=False)
        for message in ("I am angry, refund order 1042", "", "🌱"):
            result = await say(desk(look_up_order, output_type=output_type), message)
            jsonschema.validate(
                json.loads(result.raw_responses[-1].output[0].content[0].text), output_type.json_schema()
            )


def test_fill_keeps_to_bounds() -> None:
    facts = Facts(Turn.read("", "ten plants"), "ten plants")
    assert fill({"type": "integer", "maximum": 5}, "quantity", facts) == 5
    assert fill({"type": "integer", "exclusiveMinimum": 20}, "quantity", facts) == 21
    assert fill({"type": "string", "maxLength": 3}, "message", facts) == "ten"
    assert len(fill({"type": "array", "items": {"type": "integer"}, "minItems": 2}, "x", facts)) == 2
    assert fill({"const": "a"}, "x", facts) == "a"
    assert fill({"type": ["null", "string"]}, "colour", facts) is None


# What people type

STRANGE = [
    "", " \n\t ", "\0", "a\0b order 1042\0", "\u202eorder 1042\u202c", "<script>alert(1)</script> order 1042", "🌱🌵" * 50,
    "\ud800 lone \udfff order 1042", "'; DROP TABLE orders; --", "Robert\r\nBcc: x@y.z", "%s %d {0} {}", "\\", "𝟙𝟘𝟜𝟚 order ١٠٤٢",
    "9" * 5000, "order " + "9" * 5000, "refund " + "1." * 2000 + " EUR", "refund 999999999999999 EUR for order 1042",
    "(" * 3000, "a" * 100_000, "order " * 20_000, "my name is " * 3000, "what did i ask " * 3000, "and " * 20_000, "don't record " * 2000,
]  # fmt: skip


@pytest.mark.parametrize("message", STRANGE, ids=range(len(STRANGE)))
async def test_nothing_that_a_person_types_makes_it_fail(message: str) -> None:
    for agent in (desk(*ALL, save_to_database, instructions=DUTY), desk(look_up_order, output_type=Decision)):
        result = await asyncio.wait_for(say(agent, "Hello", message, "What did I just say?"), 20)
        answer = result.final_output if isinstance(result.final_output, str) else result.final_output.reply
        assert answer.encode()  # nothing that cannot be sent
        assert len(answer) < 5000
        for calls in rounds(result):
            assert json.dumps(calls, ensure_ascii=False).encode()


async def test_three_megabytes_are_read_in_no_time() -> None:
    loop = asyncio.get_running_loop()
    for text in ("order 1042 " * 280_000, "x" * 3_000_000):
        began = loop.time()
        await ask(OfflineModel(), text, ALL)
        assert loop.time() - began < 5


@pytest.mark.parametrize(
    "items",
    [
        [],
        [{"role": "user", "content": None}, {"type": "reasoning", "summary": []}, {"role": "user"}],
        [{"role": "user", "content": [{"type": "input_text", "text": "1042"}, {"type": "input_image"}]}],
        [
            {"type": "function_call_output", "call_id": "x", "output": "y"},
            {"type": "function_call", "name": "x"},
        ],
        ["text", 3, None],
    ],
)
async def test_strange_conversations_are_answered(items: list[Any]) -> None:
    assert (await ask(OfflineModel(), items, READ)).output


async def test_it_says_what_it_is_where_it_does_not_understand() -> None:
    reply = (await say(desk(*READ), "Colourless green ideas sleep furiously.")).final_output
    assert "offline model (simulated" in reply
    assert "look up an order" in reply
    assert "simulated" in repr(OfflineModel())


def test_reading() -> None:
    several = "orders 1042, 1043 and #7, order no. 15, not 12.50 EUR or 2500 EUR"
    assert orders(several) == ("1042", "1043", "7", "15")
    assert plants("two monsteras, a peace lily") == ("Monstera", "Peace lily")
    assert cents("12.50 EUR, € 3,20, 850 cents, ten euros, 7 EUR") == (1250, 320, 850, 1000, 700)
    assert number("ten for order 1042 at 3.00 EUR") == 10
    assert clauses("Where is 1042, and 1043? 12.50 EUR") == ["Where is 1042", "1043", "12.50 EUR"]
    assert known("name", "I am Ada", "call me Bo") == "Bo"


# Usage and streams


async def test_usage_is_an_estimate_that_says_so_and_tools_cost_tokens() -> None:
    bare = await ask(OfflineModel(), "Hello")
    longer = await ask(OfflineModel(), "Hello" + "x" * 400)
    with_tool = await ask(OfflineModel(), "Hello", [save_to_database])
    instructed = await ask(OfflineModel(), "Hello", instructions="y" * 400)
    assert bare.raw_usage["estimated"] is True
    assert longer.usage.input_tokens == bare.usage.input_tokens + 100
    assert instructed.usage.input_tokens - bare.usage.input_tokens in (99, 100, 101)
    assert with_tool.usage.input_tokens > bare.usage.input_tokens + 50
    assert bare.usage.total_tokens == bare.usage.input_tokens + bare.usage.output_tokens > 0


async def test_it_streams_the_answer_that_it_gives() -> None:
    agent = desk(*READ)
    streamed = Runner.run_streamed(agent, "Where are orders 1042 and 1043?")
    events = [event.data async for event in streamed.stream_events() if event.type == "raw_response_event"]
    whole = await Runner.run(agent, "Where are orders 1042 and 1043?")
    assert streamed.final_output == whole.final_output
    assert [call.name for call in streamed.raw_responses[0].output] == ["look_up_order"] * 2
    assert isinstance(events[-1], ResponseCompletedEvent)
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.final_output
    last = events[[event.type for event in events].index("response.completed") + 1 :]
    assert [event.sequence_number for event in last] == list(range(len(last)))
