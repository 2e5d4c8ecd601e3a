"""Answers to exercise 02, and what its check says to each."""

from tests.checks.answers import *

DOCSTRING = '''"""Cancel an order of the shop. Only an order that is still being packed can be cancelled.

    Args:
        order_id: The order's number, such as 1042.
    """'''

REFUSAL = "so it cannot be cancelled any more"
FUNCTION_TOOL = ("from agents import Agent\n", "from agents import Agent, function_tool\n")
ERROR = "from temporalio.exceptions import ApplicationError"

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
        before(
            "@workflow.run",
            "async def turn(self, text: str) -> str:",
            '    await workflow.execute_activity(cancel_order, "2317", **TOOL)',
            "    return await super().turn(text)",
            "",
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
        instead(
            REFUSAL, ERROR, 'raise ApplicationError(f"Order {order_id} is {status}.", non_retryable=True)'
        ),
    ),
    "raises what is retried": (
        "cancel_order fails and is tried again",
        instead(REFUSAL, 'raise ValueError(f"Order {order_id} is {status}.")'),
    ),
    "says too little": ("They are not told why.", (" is {status}, so it cannot", " cannot")),
    "a sync function tool": (
        "the tool's own code failed before the activity",
        FUNCTION_TOOL,
        before(
            "@workflow.defn",
            '@function_tool(name_override="cancel_order")',
            "def cancel(order_id: str) -> str:",
            '    """Cancel an order."""',
            "    return workflow.execute_activity(cancel_order, order_id, **TOOL)",
            "",
            "",
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
        ("is {status}, so it cannot be cancelled any more.", "is not being packed any more."),
    ),
    "a function tool with words of its own": (
        instead("from agents import", "from agents import Agent, function_tool", ERROR),
        instead(
            REFUSAL, 'raise ApplicationError(f"Order {order_id} is {status}: too late.", non_retryable=True)'
        ),
        before(
            "@workflow.defn",
            "def told(context: object, error: Exception) -> str:",
            '    return f"Tell the customer: {error.__cause__}"',
            "",
            "",
            '@function_tool(name_override="cancel_order", failure_error_function=told)',
            "async def cancel(order_id: str) -> str:",
            '    """Cancel an order."""',
            "    return await workflow.execute_activity(cancel_order, order_id, **TOOL)",
            "",
            "",
        ),
        ("[activity_as_tool(cancel_order, **TOOL)]", "[cancel]"),
    ),
}

SAMPLE = {"the docstring of the starter", "the workflow's step", "a reason without the status"}
