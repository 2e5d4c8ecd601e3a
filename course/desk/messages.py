"""Which messages a conversation accepts. The sender checks first, the workflow's validator again."""

MAX_MESSAGE = 20_000
"""Characters. A call of an activity may hold 2 MiB at most, and every model call carries the
conversation: a limit in the validator keeps one message from freezing it."""


def check_message(text: object) -> str:
    """Returns the text, or raises `ValueError` with a sentence that says what is wrong with it."""
    if not isinstance(text, str):
        raise ValueError(
            f"A message is text, and this is {type(text).__name__}: {_short(text)}. Nothing was sent."
        )
    if not text.strip():
        raise ValueError(
            "The message is empty. Nothing was sent: write a question, and send it again."
        )
    if len(text) > MAX_MESSAGE:
        raise ValueError(
            f"The message has {len(text):,} characters, and a conversation takes {MAX_MESSAGE:,}. "
            "Nothing was sent: shorten it, or send it in parts."
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(
            "The message holds half a character (a lone surrogate), which cannot be written as UTF-8. "
            "Nothing was sent: text.encode(errors='replace').decode() replaces it."
        )
    return text


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:39] + "…"
