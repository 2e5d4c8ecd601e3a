"""Answers to exercise 02, and what its check says to each."""

from tests.checks.answers import *

DOCSTRING = '''"""Cancel an order of the shop. Only an order that is still being packed can be cancelled.

    Args:
        order_id: The order's number, such as 1042.
    """'''

REFUSAL = '    return f"Order {order_id} is {status}, so it cannot be cancelled any more."\n'
FUNCTION_TOOL = ("from agents import Agent\n", "from agents import Agent, function_tool\n")
ERROR = "from temporalio.exceptions import ApplicationError\n"

STARTER = "does not hold it"

WRONG = {
    "the docstring of the starter": (
        "its docstring, and that says “TODO: what",
        (DOCSTRING, '"""TODO: what the model has to know of this tool, and of its argument."""'),
    ),
    "no docstring to speak of": ("and that says “...”", (DOCSTRING, '"""..."""')),
    "no timeout": (
        "the activity has no timeout, and Temporal starts none without",
        ("(cancel_order, **TOOL)", "(cancel_order)"),
    ),
    "a plain function as a tool": (
        "`activity_as_tool(cancel_order, **TOOL)`, which comes from temporalio.openai_agents.workflow",
        ("activity_as_tool(cancel_order, **TOOL)", "cancel_order"),
    ),
    "not the agent's": ("list of tools does not hold it", ("tools=tools", "tools=[]")),
    "the workflow's step": (
        "Nobody asked to cancel anything, and cancel_order ran (workflow)",
        (
            "        return await self.until_closed()\n",
            "        return await self.until_closed()\n\n"
            "    async def turn(self, text: str) -> str:\n"
            '        await workflow.execute_activity(cancel_order, "2317", **TOOL)\n'
            "        return await super().turn(text)\n",
        ),
    ),
    "cancels anything": (
        "had been shipped, and your tool made it 'cancelled'",
        ("where(still_packed)", "where(this_order)"),
    ),
    "cancels nothing": (
        "is 'being packed', and no order is cancelled",
        ('values(status="cancelled")', "values(status=orders.c.status)"),
    ),
    "raises through activity_as_tool": (
        "the model never sees it",
        (
            REFUSAL,
            f"    {ERROR}"
            '    raise ApplicationError(f"Order {order_id} is {status}.", non_retryable=True)\n',
        ),
    ),
    "raises what is retried": (
        "cancel_order fails and is tried again",
        (REFUSAL, '    raise ValueError(f"Order {order_id} is {status}.")\n'),
    ),
    "says too little": ("They are not told why.", (" is {status}, so it cannot", " cannot")),
    "a sync function tool": (
        "the tool's own code failed before the activity",
        FUNCTION_TOOL,
        (
            "@workflow.defn\n",
            '@function_tool(name_override="cancel_order")\ndef cancel(order_id: str) -> str:\n    """Cancel an order."""\n'
            "    return workflow.execute_activity(cancel_order, order_id, **TOOL)\n\n\n@workflow.defn\n",
        ),
        ("[activity_as_tool(cancel_order, **TOOL)]", "[cancel]"),
    ),
    "takes its own success for a refusal": (
        "must take the first one's success for its own",
        ('    if status == "cancelled":  # by this attempt, or by one before it\n', "    if done:\n"),
        ("        connection.execute(orders", "        done = connection.execute(orders"),
        ('values(status="cancelled"))', 'values(status="cancelled")).rowcount'),
    ),
    "two arguments": ("takes one argument", ("order_id: str)", "order_id: str, why: str)")),
}

RIGHT = {
    "a reason without the status": (
        "Passed: ",
        ("is {status}, so it cannot be cancelled any more.", "is not being packed any more."),
    ),
    "a function tool with words of its own": (
        "Passed: ",
        (FUNCTION_TOOL[0], FUNCTION_TOOL[1] + ERROR),
        (
            REFUSAL,
            '    raise ApplicationError(f"Order {order_id} is {status}: too late.", non_retryable=True)\n\n\n'
            "def told(context: object, error: Exception) -> str:\n"
            '    return f"Tell the customer: {error.__cause__}"\n\n\n'
            '@function_tool(name_override="cancel_order", failure_error_function=told)\n'
            "async def cancel(order_id: str) -> str:\n"
            '    """Cancel an order."""\n'
            "    return await workflow.execute_activity(cancel_order, order_id, **TOOL)\n",
        ),
        ("[activity_as_tool(cancel_order, **TOOL)]", "[cancel]"),
    ),
}

SAMPLE = {"the docstring of the starter", "the workflow's step", "a reason without the status"}
