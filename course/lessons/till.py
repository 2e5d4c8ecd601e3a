"""The till: it pays money back, never more than was paid for an order."""

import sqlalchemy as sql

from course.desk.services import Database, KeyReused, Refused
from course.desk.services import database as db
from course.desk.services.shop import euros
from course.lessons.record_tables import refunds, returns

LARGEST_CENTS = 1_000_000_00
"""No order of a plant shop is worth a million."""


class RefundRefused(Refused):
    """The shop's rules do not allow this refund."""


class ReturnUnknown(Refused):
    """The shop gave nobody this number, or not to this customer."""


def order_of_return(database: Database, customer: str, return_number: str) -> str:
    """The order that a return of this customer's is about. Raises `ReturnUnknown`."""
    known = database.find(returns, returns.c.return_number == db.storable(return_number))
    if not known or not database.find(db.orders, db.order_of(customer, known.order_id)):
        raise ReturnUnknown(f"There is no return {return_number!r}.")
    return known.order_id


def refund(
    database: Database, customer: str, refund_id: str, order_id: str, amount_cents: int
) -> str:
    """Pays once per `refund_id`, for an order of this customer's. Raises `RefundRefused`, or `KeyReused` for a changed repeat."""
    refund_id, order_id = db.storable(refund_id), db.storable(order_id)
    if not 0 < amount_cents <= LARGEST_CENTS:
        # A model may propose a number that is too long to print.
        sensible = abs(amount_cents) < 10**15
        amount = euros(amount_cents) if sensible else "this many cents"
        raise RefundRefused(f"A refund of {amount} makes no sense. Nothing was paid.")
    whose = db.order_of(customer, order_id)
    # Before anything else: what is paid for another's order already is nobody else's business.
    if database.find(db.orders, whose) is None:
        raise RefundRefused(f"There is no order {order_id!r}, so nothing was refunded.")
    row = {"refund_id": refund_id, "order_id": order_id, "amount_cents": amount_cents}
    paid = f"Refund {refund_id} of {euros(amount_cents)} for order {order_id} is paid."
    try:
        with database.engine.begin() as connection:
            # Written before it is judged: from here to the commit no other refund of this order can slip
            # between the sum and the payment. A refusal rolls it back.
            connection.execute(refunds.insert().values(**row))
            which = sql.select(db.orders).where(whose)
            order = connection.execute(which.with_for_update()).one()
            paid_back = sql.select(sql.func.sum(refunds.c.amount_cents))
            total = connection.execute(
                paid_back.where(refunds.c.order_id == order_id)
            ).scalar()
            if total > order.paid_cents:
                raise RefundRefused(
                    f"Order {order_id} was paid with {euros(order.paid_cents)}; refunds of "
                    f"{euros(total)} would be more. Nothing was paid."
                )
    except sql.exc.IntegrityError:  # the number is there, perhaps since a moment ago
        try:
            database.check_repeat(refunds, row)
        except KeyReused:
            raise KeyReused(
                f"Refund {refund_id} was already paid, with other details."
            ) from None
    return paid
