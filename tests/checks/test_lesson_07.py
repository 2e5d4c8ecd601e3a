"""Answers to exercise 07, and what its check says to each."""

from tests.checks.answers import *

KEY = 'f"return-{return_number}"'
GIVES_UP = (
    "**PAYMENT,\n",
    "start_to_close_timeout=PAYMENT['start_to_close_timeout'], retry_policy=RetryPolicy(maximum_attempts=1),\n",
)
RETRY = after("from temporalio import workflow", "from temporalio.common import RetryPolicy")

STARTER = "your tool has not run issue_refund. It handed the model: “Not yet.”"

WRONG = {
    "random": ("made the same call twice in one answer", (KEY, "str(workflow.uuid4())")),
    "turn": ("called the tool for the same case again", (KEY, "self.key")),
    "run": ("An operator reset the conversation", (KEY, 'f"{workflow.info().run_id}/{return_number}"')),
    "conversation": ("in a new conversation", (KEY, 'f"{workflow.info().workflow_id}/{return_number}"')),
    "order": ("so the shop refused it", (KEY, 'f"order-{order_id}"')),
    "case and amount": ("with another amount, and it was paid", (KEY, 'f"{return_number}-{amount_cents}"')),
    "order and amount": ("at the same price", (KEY, 'f"{order_id}-{amount_cents}"')),
    "no second attempt": ("Nobody tried again", GIVES_UP, RETRY),
    "amount for order": ("not paid as asked", ("order_id, amount_cents]", "return_number, amount_cents]")),
    "the model names the customer": (
        "Order 1044 is ada's, and whoever says so is not ada",
        ("self, return_number: str", "self, customer: str, return_number: str"),
        ("[self.customer, key", "[Customer(customer), key"),
    ),
}

RIGHT = {"the number alone": [(KEY, "return_number")]}

SAMPLE = {"the model names the customer", "turn", "conversation", "order and amount", *RIGHT}
