"""Answers to exercise 02, and what its check says to each."""

from tests.checks.answers import *

DOCSTRING = '''"""Cancel an order of the shop. Only an order that is still being packed can be cancelled.

    Args:
        customer: Whose order it is. Another's is told of as one that does not exist.
        order_id: The order's number, such as 1042.
    """'''

REFUSAL = "so it cannot be cancelled any more"
FUNCTION_TOOL = ("from agents import Agent\n", "from agents import Agent, function_tool\n")
ERROR = "from temporalio.exceptions import ApplicationError"

TOOL_OF_ADAS = "customers_tool(Customer(customer), cancel_order, **TOOL)"
AS_TOOL = "from temporalio.openai_agents.workflow import activity_as_tool"
RETRY = "from temporalio.common import RetryPolicy"

STARTER = "does not hold it"

WRONG = {
    "the docstring of the starter": (
        "its docstring, and that says “TODO: what",
        (DOCSTRING, '"""TODO: what the model has to know of this tool, and of its argument."""'),
    ),
    "no docstring to speak of": ("and that says “...”", (DOCSTRING, '"""..."""')),
    "no timeout": (
        "the activity has no timeout, and Temporal starts none without",
        (", cancel_order, **TOOL)", ", cancel_order)"),
    ),
    "a plain function as a tool": (
        "`customers_tool(Customer(customer), cancel_order, **TOOL)`, which comes from course.desk.tools",
        (TOOL_OF_ADAS, "cancel_order"),
    ),
    "not the agent's": ("list of tools does not hold it", ("tools=tools", "tools=[]")),
    "the workflow's step": (
        "Nobody asked to cancel anything, and cancel_order ran (workflow)",
        before(
            "@workflow.run",
            "async def turn(self, text: str) -> str:",
            '    await workflow.execute_activity(cancel_order, args=[Customer("ada"), "2317"], **TOOL)',
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
            '    return workflow.execute_activity(cancel_order, args=[Customer("ada"), order_id], **TOOL)',
            "",
            "",
        ),
        (TOOL_OF_ADAS, "cancel"),
    ),
    "takes its own success for a refusal": (
        "success for its own",
        ('    if status == "cancelled":  # by this attempt, or by one before it\n', "    if done:\n"),
        ("        connection.execute(orders", "        done = connection.execute(orders"),
        ('values(status="cancelled"))', 'values(status="cancelled")).rowcount'),
    ),
    "the model says whose": (
        "was asked whose order it is",
        (
            "from temporalio import activity, workflow\n",
            f"from temporalio import activity, workflow\n{AS_TOOL}\n",
        ),
        (TOOL_OF_ADAS, "activity_as_tool(cancel_order, **TOOL)"),
    ),
    "anybody's order": (
        "The order is Ben's, and now it is 'cancelled'",
        ("order_of(customer.name, order_id)", "orders.c.order_id == order_id"),
    ),
    "all that has not been delivered": (
        "had been shipped, and your tool made it",
        ('orders.c.status == "being packed"', 'orders.c.status != "delivered"'),
    ),
    "all that has not been shipped": (
        "had been delivered, and your tool made it",
        ('orders.c.status == "being packed"', 'orders.c.status != "shipped"'),
    ),
    "a refusal that says it is cancelled": (
        "the customer heard that it was",
        ("is {status}, so it cannot be cancelled any more", "is cancelled. It was {status}"),
    ),
    "every refusal says shipped": (
        "Order 2319 has been delivered, so it was not cancelled",
        ("is {status}, so it", "has been shipped, so it"),
    ),
    "an unknown order is shipped": (
        "That is true of other orders",
        ("There is no order {order_id}, so nothing was cancelled.", "Order {order_id} is shipped."),
    ),
    "an unknown order is None": (
        "None is Python's word",
        (
            "There is no order {order_id}, so nothing was cancelled.",
            "Order {order_id} is {status}, too late.",
        ),
    ),
    "the number of the attempt decides": (
        "An attempt's number does not say",
        before(
            "with current", "if activity.info().attempt > 1:", '    return f"Order {order_id} is cancelled."'
        ),
    ),
    "deletes the row": (
        "is gone: set its status",
        instead("orders.update()", "connection.execute(orders.delete().where(still_packed))"),
    ),
    "one attempt": (
        "its retry policy allows one attempt",
        (
            "from temporalio import activity, workflow\n",
            f"from temporalio import activity, workflow\n{RETRY}\n",
        ),
        (
            "cancel_order, **TOOL",
            "cancel_order, **(TOOL | {'retry_policy': RetryPolicy(maximum_attempts=1)})",
        ),
    ),
    "says that it cannot, and it has": (
        "must take the first one's success",
        ("        connection.execute(orders", "        done = connection.execute(orders"),
        ('values(status="cancelled"))', 'values(status="cancelled")).rowcount'),
        after(
            'if status == "cancelled"',
            "    if not done:",
            '        return f"{order_id} cannot be cancelled twice."',
        ),
    ),
}

RIGHT = {
    "terse, with the status in brackets": (
        ("is {status}, so it cannot be cancelled any more.", "stays (status: {status})."),
    ),
    "none of their orders": (
        ("There is no order {order_id}, so nothing was cancelled.", "None of your orders is {order_id}."),
    ),
    "it had been cancelled": (
        ('f"Order {order_id} is cancelled."', 'f"Order {order_id} is already cancelled."'),
    ),
    "one more argument of the model's": (
        ("order_id: str)", "order_id: str, why: str)"),
        ("number, such as 1042.", "number, such as 1042.\n        why: The customer's reason."),
    ),
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
            '    return await workflow.execute_activity(cancel_order, args=[Customer("ada"), order_id], **TOOL)',
            "",
            "",
        ),
        (TOOL_OF_ADAS, "cancel"),
    ),
}

SAMPLE = {"the docstring of the starter", "the workflow's step", "a reason without the status"}
