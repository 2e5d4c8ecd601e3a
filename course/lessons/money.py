"""Activities that move the shop's money and plants. Only lessons have them: the desk to take home pays nothing."""

from temporalio import activity

from course.desk.activities import refusals_are_final
from course.desk.services import current_services
from course.lessons import stock, till


@activity.defn
def issue_refund(refund_id: str, order_id: str, amount_cents: int) -> str:
    """Pay money back for an order.

    Args:
        refund_id: The refund's own number: the same number twice is paid once.
        order_id: The order's number, such as 1042.
        amount_cents: How much, in cents.
    """
    with refusals_are_final():
        return till.refund(current_services().database, refund_id, order_id, amount_cents)


@activity.defn
def put_back(task_id: str, order_id: str) -> str:
    """Put the plants of an order back into stock. Only plants that have not left the house can be.

    Args:
        task_id: The key of the move: the same key twice is one move.
        order_id: The order's number, such as 1042.
    """
    with refusals_are_final():
        return stock.put_back(current_services().database, task_id, order_id)


@activity.defn
def take_out(task_id: str, order_id: str) -> str:
    """Take the plants of an order out of stock.

    Args:
        task_id: The key of the move: the same key twice is one move.
        order_id: The order's number, such as 1042.
    """
    with refusals_are_final():
        return stock.take_out(current_services().database, task_id, order_id)
