"""A tool that serves one customer only: whose orders are read, code decides, and the model cannot."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, replace
from typing import Any

from agents import FunctionTool
from agents.tool_context import ToolContext
from temporalio.openai_agents.workflow import activity_as_tool

from course.desk.activities import Customer


def customers_tool(
    customer: Customer, activity: Callable[..., Any], **config: Any
) -> FunctionTool:
    """`activity_as_tool` of an activity that takes a `customer`, with that one filled in.

    The model is not shown the parameter, and what it sends under that name is overwritten.
    Raises `KeyError` for an activity that takes no `customer`.
    """
    tool = activity_as_tool(activity, **config)
    assert isinstance(tool, FunctionTool)
    schema = deepcopy(tool.params_json_schema)
    del schema["properties"]["customer"], schema["$defs"]["Customer"]
    if not schema["$defs"]:
        del schema["$defs"]
    schema["required"].remove("customer")

    async def invoke(context: ToolContext[Any], arguments: str) -> Any:
        try:
            sent = json.loads(arguments)
        except ValueError:
            sent = None
        if isinstance(sent, dict):  # anything else fails in the plugin's own words
            arguments = json.dumps(sent | {"customer": asdict(customer)})
        return await tool.on_invoke_tool(context, arguments)

    return replace(tool, params_json_schema=schema, on_invoke_tool=invoke)
