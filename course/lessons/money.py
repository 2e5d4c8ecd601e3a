"""Activities that move the shop's money and plants, or say which order a return is for. Only lessons have them: the desk to take home pays nothing."""

from temporalio import activity

from course.desk.activities import Customer, refusals_are_final
from course.desk.services import current_services
from course.lessons import stock, till


@activity.defn
def issue_refund(
    customer: Customer, refund_id: str, order_id: str, amount_cents: int
) -> str:
    """Pay money back for an order.

    Args:
        customer: Whose order it is. For another's order nothing is paid.
        refund_id: The refund's own number: the same number twice is paid once.
        order_id: The order's number, such as 1042.
        amount_cents: How much, in cents.
    """
    with refusals_are_final():
        database = current_services().database
        return till.refund(database, customer.name, refund_id, order_id, amount_cents)


@activity.defn
def order_of_return(customer: Customer, return_number: str) -> str:
    """The order that a return is about. Refuses a number that the shop has not given to this customer.

    Args:
        customer: Who returns something.
        return_number: The number that the shop gave to the case, such as R-7001.
    """
    with refusals_are_final():
        database = current_services().database
        return till.order_of_return(database, customer.name, return_number)


@activity.defn
def put_back(customer: Customer, task_id: str, order_id: str) -> str:
    """Put the plants of an order back into stock. Only plants that have not left the house can be.

    Args:
        customer: Whose order it is. For another's order nothing is moved.
        task_id: The key of the move: the same key twice is one move.
        order_id: The order's number, such as 1042.
    """
    with refusals_are_final():
        database = current_services().database
        return stock.put_back(database, customer.name, task_id, order_id)


@activity.defn
def take_out(customer: Customer, task_id: str, order_id: str) -> str:
    """Take the plants of an order out of stock.

    Args:
        customer: Whose order it is. For another's order nothing is moved.
        task_id: The key of the move: the same key twice is one move.
        order_id: The order's number, such as 1042.
    """
    with refusals_are_final():
        database = current_services().database
        return stock.take_out(database, customer.name, task_id, order_id)
