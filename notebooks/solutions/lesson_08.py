"""Exercise 08: what is done again, when a worker has died."""

KEYED = ("save_to_database", "send_notification", "process_batch")


def predict(record: list[tuple[str, str]], mark: str) -> dict[str, str | int | None]:
    """What is done again.

    Args:
        record: What the history held at the death: pairs of an event and what it is about.
        mark: Where the worker died: `before`, `after` or `workflow task`.

    Returns `again`, the activity that gets a second attempt or None; `paid_in_vain`, answers of the model that
    nobody uses; `repeats_refused`, rows and mails that come twice and are known by their key.
    """
    in_hand: list[str] = []
    for event, name in record:
        if event == "ActivityTaskScheduled":
            in_hand.append(name)
        elif event == "ActivityTaskCompleted":
            in_hand.remove(name)
    again = in_hand[0] if in_hand else None
    twice = mark == "after"  # the server cannot tell before from after, and the world can
    return {
        "again": again,
        "paid_in_vain": int(twice and again == "invoke_model_activity"),
        "repeats_refused": int(twice and again in KEYED),
    }
