"""What a few messages have in common: counted with rules, no model needed."""

import re
from collections import Counter
from typing import Any

TOPICS = {
    "order": ("order", "parcel", "package", "deliver", "ship", "arriv", "track"),
    "refund": ("refund", "money back", "return"),
    "stock": ("stock", "available", "do you have", "do you sell", "price", "cost"),
    "care": ("water", "light", "leaf", "leaves", "soil", "pot", "yellow", "brown"),
}
ORDER_ID = re.compile(r"\b\d{4}\b")


def learn_from(messages: list[str]) -> dict[str, Any]:
    """Counts a batch of messages.

    Returns `messages` and `questions` (counts), `topics` (the most frequent first, at most one count a
    message and topic) and `orders` (the numbers mentioned, sorted).
    """
    lowered = [message.lower() for message in messages]
    topics = Counter(
        topic for text in lowered for topic, words in TOPICS.items() if any(word in text for word in words)
    )
    return {
        "messages": len(messages),
        "questions": sum("?" in text for text in lowered),
        "topics": [topic for topic, _ in topics.most_common()],
        "orders": sorted({number for text in lowered for number in ORDER_ID.findall(text)}),
    }
