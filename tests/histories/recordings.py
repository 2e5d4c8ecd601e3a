"""The recordings, and what the tests do with them: look things up, take things away, change them."""

import base64
import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from course.history import activity_table

RECORDED = Path(__file__).parent / "recorded"
ELSEWHERE = Path(__file__).parent / "elsewhere" / "recorded"
SCHEDULED = "activityTaskScheduledEventAttributes"
NAMES = sorted(path.stem for path in RECORDED.glob("*.json"))
FOREIGN = ["google_adk", "pydantic_ai"]


@cache
def text_of(name: str) -> str:
    path = RECORDED / f"{name}.json"
    return (path if path.exists() else ELSEWHERE / path.name).read_text()


def recording(name: str) -> dict[str, Any]:
    return json.loads(text_of(name))


def runs(name: str) -> list[dict[str, Any]]:
    return recording(name)["runs"]


def rows(table: pd.DataFrame) -> list[list[Any]]:
    """As the workflows write them: activity, hand, turn."""
    return [
        [row.activity, row.decided_by, None if pd.isna(row.turn) else int(row.turn)]
        for row in table.itertuples()
    ]


def events_of(history: list[dict[str, Any]], attributes: str) -> list[dict[str, Any]]:
    return [event for run in history for event in run["events"] if attributes in event]


def without(history: list[dict[str, Any]], *, field: str) -> list[dict[str, Any]]:
    """The same history as an older server or SDK would have left it."""
    stripped = copy.deepcopy(history)
    for run in stripped:
        for event in run["events"]:
            event.pop(field, None)
            for attributes in event.values():
                if isinstance(attributes, dict):
                    attributes.pop(field, None)
    return stripped


def scheduled(history: list[dict[str, Any]], activity: str = "") -> list[dict[str, Any]]:
    """What is recorded of the scheduling of an activity, or of all, to be changed."""
    every = [event[SCHEDULED] for event in events_of(history, SCHEDULED)]
    return [one for one in every if activity in ("", one["activityType"]["name"])]


def read(payloads: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(payloads["payloads"][0]["data"]))


def write(payloads: dict[str, Any], value: Any) -> None:
    payloads["payloads"][0]["data"] = base64.b64encode(json.dumps(value).encode()).decode()


def decided(history: Any, name: str) -> list[str]:
    table = activity_table(history)
    return list(table[table.activity == name].decided_by)
