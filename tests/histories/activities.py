"""The activities that the tests' workflows run. What they do is beside the point; how they end is not."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError


@activity.defn
async def look_up(order: int) -> str:
    """Look an order up."""
    return f"order {order}: packed"


@activity.defn
async def record(text: str) -> str:
    """Write a line into the record."""
    return f"recorded {text}"


@activity.defn(name="inventory.v2")
async def stock(plant: str, urgent: bool = False, discount: float = 0) -> str:
    """Say how many of a plant are left."""
    return f"3 x {plant}"


@activity.defn(name="undocumented.v2")
async def undocumented(plant: str) -> str:
    return plant


@dataclass
class Parcel:
    weight: float
    fragile: bool = False
    labels: list[str] = field(default_factory=list)


@activity.defn
async def ship(parcel: Parcel, copies: int = 1) -> str:
    """Ship a parcel."""
    return f"shipped {parcel.weight} kg"


@activity.defn
async def refund(order: int) -> str:
    """Give the money back."""
    return f"refunded {order}"


@activity.defn
async def plan(text: str) -> dict[str, Any]:
    """Ask a model that knows the tools: what next? Nothing, in the end."""
    return {"tool": "refund", "args": {"order": 7}} if text == "Refund order 7." else {}


@activity.defn
async def notify(text: str) -> str:
    """Tell somebody."""
    return "told"


@activity.defn
async def fails_twice(text: str) -> str:
    """Fail on the first two attempts."""
    if activity.info().attempt < 3:
        raise ApplicationError(f"attempt {activity.info().attempt} failed")
    return text


@activity.defn
async def refuses(text: str) -> str:
    """Fail for good."""
    raise ApplicationError("refused for good", non_retryable=True)


@activity.defn
async def never_ends(text: str) -> str:
    """Wait for a cancellation, or for a timeout."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.1)


ALL = [look_up, record, stock, undocumented, ship, refund, plan, notify, fails_twice, refuses, never_ends]
