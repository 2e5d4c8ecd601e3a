"""Answers to exercise 07, and what its check says to each."""

from tests.checks.answers import *

KEY = 'f"return-{return_number}"'
GIVES_UP = (
    "**PAYMENT\n",
    "start_to_close_timeout=PAYMENT['start_to_close_timeout'], retry_policy=RetryPolicy(maximum_attempts=1)\n",
)
RETRY = after("from temporalio import workflow", "from temporalio.common import RetryPolicy")

IMPORT = "from temporalio import workflow"
LOOK = """        known = await workflow.execute_activity(
            money.order_of_return, args=[self.customer, return_number], **PAYMENT
        )
        if known != order_id:
            return f"Return {return_number} is not of order {order_id}. Nothing was paid."
"""
PAY = """        return await workflow.execute_activity(
            money.issue_refund, args=[self.customer, key, order_id, amount_cents], **PAYMENT
        )
"""
SAYS_PAID = """        try:
            await workflow.execute_activity(
                money.issue_refund, args=[self.customer, key, order_id, amount_cents], **PAYMENT
            )
        except ActivityError:
            pass
        return "Refund paid."
"""
ERROR = after(IMPORT, "from temporalio.exceptions import ActivityError")

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
    "another number in every process": (
        "Line 41 calls hash(…)",
        (KEY, 'f"return-{hash(return_number)}"'),
    ),
    "says paid, whatever came of it": (
        "what it had handed it after the payment: “Refund paid”",
        ERROR,
        (PAY, SAYS_PAID),
    ),
    "any number is a case": ("the shop has no return R-7713", (LOOK, "")),
    "a number that looks like one": (
        "whoever invents another one",
        after(IMPORT, "import re"),
        (
            LOOK,
            '        if not re.fullmatch(r"R-7\\d{3}", return_number):\n            return "No such return."\n',
        ),
    ),
    "of any order": ("R-7019 is a return of order 1085", ("if known != order_id", "if not known")),
    "of any order, which is in the key": (
        "nothing is paid for any other",
        ("if known != order_id", "if not known"),
        (KEY, 'f"{order_id}/{return_number}"'),
    ),
    "whom the model names": (
        "whoever says so is not ada",
        ("return_number: str, order_id", "customer: str, return_number: str, order_id"),
        ("args=[self.customer, ", "args=[Customer(customer), "),
    ),
}

RIGHT = {
    "the number alone": [(KEY, "return_number")],
    "the order and the case": [(KEY, 'f"{known}/{return_number}"')],
    "the shop's order, whatever the model says": [
        ("        if known != order_id:\n", "        order_id = known\n        if not order_id:\n")
    ],
    "a digest of the number": [
        after(IMPORT, "import hashlib"),
        (KEY, "hashlib.sha256(return_number.encode()).hexdigest()"),
    ],
    "a name-based id": [
        after(IMPORT, "import uuid"),
        (KEY, "str(uuid.uuid5(uuid.NAMESPACE_OID, return_number))"),
    ],
    "the refusal in words of one's own": [
        ERROR,
        (
            LOOK,
            "        try:\n"
            + LOOK.replace("        ", "            ").replace("                    ", "                ")
            + '        except ActivityError:\n            return "Sorry, we know nothing about that."\n',
        ),
    ],
    "raises where it does not fit": [
        (
            'return f"Return {return_number} is not of order {order_id}. Nothing was paid."',
            "raise ValueError(return_number)",
        )
    ],
    "remembers what it has paid": [
        before("self.customer = ", "self.paid = {}"),
        before("known = await", "if return_number in self.paid:", '    return "Paid before."'),
        (
            "return await workflow.execute_activity(\n            money.issue",
            "self.paid[return_number] = await workflow.execute_activity(\n            money.issue",
        ),
        (
            "order_id, amount_cents], **PAYMENT\n        )\n",
            'order_id, amount_cents], **PAYMENT\n        )\n        return "The money is on its way."\n',
        ),
    ],
    "one at a time": [
        after(IMPORT, "import asyncio"),
        before("self.customer = ", "self.lock = asyncio.Lock()"),
        (
            "    async def refund(self",
            "    async def refund(self, return_number: str, order_id: str, amount_cents: int) -> str:\n"
            '        """Pay money back for a plant that arrived dead."""\n        async with self.lock:\n'
            "            return await self.pay(return_number, order_id, amount_cents)\n\n    async def pay(self",
        ),
    ],
    "pays under the record's policy": [
        ("import PAYMENT", "import PAYMENT, RECORD"),
        ("order_id, amount_cents], **PAYMENT", "order_id, amount_cents], **RECORD"),
    ],
}

SAMPLE = {"turn", "any number is a case", "of any order, which is in the key", "remembers what it has paid"}
