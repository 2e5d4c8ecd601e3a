"""What a conversation shows of itself in the server's list: whose it is, its state, and who is waited for.

These are search attributes: `temporal workflow list --query "DeskWaitsFor = 'person'"` finds by them. To show one is
a command, and a server that does not know its name fails the workflow's task, again and again. So a conversation
shows nothing unless its start input says so, and `python -m course.desk --setup` makes the names known first.
Whoever may list reads them, whatever encrypts the payloads: in production, a customer's number and not a name.
"""

from collections.abc import Callable

from temporalio import workflow
from temporalio.api.enums.v1.common_pb2 import INDEXED_VALUE_TYPE_KEYWORD as KEYWORD
from temporalio.api.operatorservice import v1 as operator
from temporalio.client import Client
from temporalio.common import SearchAttributeKey

CUSTOMER = SearchAttributeKey.for_keyword("DeskCustomer")
STATE = SearchAttributeKey.for_keyword("DeskState")
WAITS_FOR = SearchAttributeKey.for_keyword("DeskWaitsFor")


async def keep_showing(customer: str, stands: Callable[[], tuple[str, str]]) -> None:
    """In a workflow: shows its state and who has to act next (`desk`, `customer`, `person`) each time that one has changed."""
    shown = ("", "")
    while True:
        await workflow.wait_condition(lambda shown=shown: stands() != shown)
        shown = stands()
        pairs = zip((CUSTOMER, STATE, WAITS_FOR), (customer, *shown), strict=True)
        workflow.upsert_search_attributes([key.value_set(value) for key, value in pairs])


async def make_known(client: Client) -> list[str]:
    """Makes the server know the names, in the client's namespace. Returns those that were new. Raises `RPCError`."""
    asked = operator.ListSearchAttributesRequest(namespace=client.namespace)
    known = await client.operator_service.list_search_attributes(asked)
    names = [key.name for key in (CUSTOMER, STATE, WAITS_FOR)]
    new = [name for name in names if name not in known.custom_attributes]
    if new:
        add = operator.AddSearchAttributesRequest(namespace=client.namespace)
        add.search_attributes.update(dict.fromkeys(new, KEYWORD))
        await client.operator_service.add_search_attributes(add)
    return new
