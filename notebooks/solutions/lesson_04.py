"""Exercise 04: place the operations, and predict what the record will show."""

PLACES = {
    "say whether a plant is in stock": "tool",
    "pay back what an order cost": "proposal",
    "keep a record of every message": "step",
    "keep a record of every tool call": "hook",
    "reserve a courier, then print the label, for a plant sent back": "function tool",
    "delete what is older than a year": "schedule",
    "count tokens for a dashboard": "logger",
}


def predict(place: str, plain: int, lookups: int, silent: int, refused: int) -> dict[str, int | bool]:
    """What the record of a conversation will show.

    Args:
        place: Where the operation is: `tool`, `step` or `background`.
        plain: Messages that need no tool.
        lookups: Messages that ask about an order.
        silent: Messages that say "don't record this", to a model that obeys.
        refused: Messages that the model's provider refuses for good.

    Returns `done` and `model_calls`, counts, and `waits`, whether the reply waits for the operation.
    """
    messages = plain + lookups + silent + refused
    if place == "tool":
        # The model saves what it was not talked out of, together with a look-up if there is one: one call
        # asks for the tools, a second one answers. A silent message is answered at once.
        return {
            "done": plain + lookups,
            "model_calls": 2 * (plain + lookups) + silent + refused,
            "waits": True,
        }
    return {"done": messages, "model_calls": messages + lookups, "waits": place == "step"}
