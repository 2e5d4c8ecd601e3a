"""Exercise 04: place the operations, and predict what omission, repetition and wrong arguments a place allows."""

PLACES = {
    "say whether a plant is in stock": "tool",
    "pay back what an order cost": "proposal",
    "keep a record of every message": "step",
    "keep a record of every tool call": "hook",
    "reserve a courier, then print the label, for a plant sent back": "function tool",
}


def predict(
    place: str, plain: int, lookups: int, silent: int, refused: int, repeated: int
) -> dict[str, int | bool]:
    """What the record of a conversation will show.

    Args:
        place: Where the operation is: `tool`, `step` or `background`.
        plain: Messages that need no tool.
        lookups: Messages that ask about an order.
        silent: Messages that say "don't record this", to a model that obeys.
        refused: Messages that the model's provider refuses for good.
        repeated: Messages to a model that makes each tool call twice.

    Returns `missing`, `again` and `untrue`, counts, and `waits`, whether the reply waits for the operation.
    """
    if place == "tool":
        # A silent message talked the model out of it, and a refused one never got so far. A save that is asked for
        # together with a look-up holds an answer that was not known yet.
        return {"missing": silent + refused, "again": repeated, "untrue": lookups, "waits": True}
    return {"missing": 0, "again": 0, "untrue": 0, "waits": place == "step"}
