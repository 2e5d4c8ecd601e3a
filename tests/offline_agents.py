"""Agents with the offline model and tools of their own, for its tests."""

import json
from typing import Any

from agents import Agent, Model, ModelResponse, ModelSettings, ModelTracing, Runner, function_tool

from course.models import OfflineModel

ORDERS = {
    "1042": "Order 1042: 1 × Monstera, 34.00 EUR, shipped.",
    "1043": "Order 1043: 2 × Ficus, 58.00 EUR, being packed.",
}


@function_tool
async def look_up_order(order_id: str) -> str:
    """Look up an order of the shop: what, how many, paid, and its state."""
    return ORDERS.get(order_id, f"There is no order {order_id!r}.")


@function_tool
async def check_stock(plant: str) -> str:
    """Check how many of a plant are in stock, and its price."""
    return f"{plant}: 12 in stock, 29.00 EUR each."


@function_tool
async def issue_refund(refund_id: str, order_id: str, amount_cents: int) -> str:
    """Pay money back for an order."""
    return f"Refund {refund_id} of {amount_cents / 100:.2f} EUR for order {order_id} is paid."


@function_tool
async def save_to_database(task_id: str, data: str) -> str:
    """Keep the record of one turn."""
    return "saved"


@function_tool
async def send_notification(task_id: str, message: str, channel: str = "email") -> str:
    """Tell Juniper's team what happened."""
    return f"sent by {channel}"


@function_tool
async def cancel_order(order_id: str) -> str:
    """Cancel an order that has not left the shop."""
    return f"Order {order_id} is cancelled."


@function_tool
async def water_advice(plant: str) -> str:
    """How often a plant wants water."""
    return f"Water a {plant} once a week."


@function_tool
async def opening_hours() -> dict[str, str]:
    """When the shop is open."""
    return {"monday_to_friday": "9 to 18", "saturday": "10 to 14"}


@function_tool
async def reserve_plant(plant: str, quantity: int) -> str:
    """Put plants aside for a customer."""
    return f"{quantity} × {plant} put aside."


READ = [look_up_order, check_stock]
ALL = [*READ, issue_refund, cancel_order, water_advice, opening_hours, reserve_plant]
DUTY = "You help. Always record every message with save_to_database, task_id='ada-1/turn-1'."


def desk(
    *tools: Any, instructions: str = "You are Juniper's desk.", model: Any = None, **more: Any
) -> Agent[Any]:
    model = model or OfflineModel()
    return Agent(name="Desk", instructions=instructions, tools=list(tools), model=model, **more)


def rounds(result: Any) -> list[list[tuple[str, dict[str, Any]]]]:
    """The tool calls of a run, one list for each answer of the model."""
    answers = [
        [(item.name, json.loads(item.arguments)) for item in answer.output if item.type == "function_call"]
        for answer in result.raw_responses
    ]
    return [calls for calls in answers if calls]


async def say(agent: Agent[Any], *messages: str) -> Any:
    """A conversation that is carried from turn to turn; the result of its last turn."""
    items: list[Any] = []
    for message in messages:
        result = await Runner.run(agent, [*items, {"role": "user", "content": message}])
        items = result.to_input_list()
    return result


async def ask(
    model: Model, message: Any = "Hello", tools: Any = (), instructions: str | None = None
) -> ModelResponse:
    return await model.get_response(
        instructions, message, ModelSettings(), list(tools), None, [], ModelTracing.DISABLED,
        previous_response_id=None, conversation_id=None, prompt=None,
    )  # fmt: skip
