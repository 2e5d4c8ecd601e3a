"""How the offline model takes notes of a conversation, and finds in them what a customer once said."""

import re

from .understanding import orders, stems

LIMIT = 1_000
"""Characters of the notes."""

_CLOSING = "(Notes by the offline model: simulated, rules.)"
_TASK = re.compile(
    r"\b(?:keep|take|write|update)s?\b[^.]{0,40}\bnotes\b|\bsummar(?:y|i[sz]e)\b[^.]{0,60}\bconversation\b",
    re.I,
)
_SPEAKER = re.compile(r"\s*(?:(?P<customer>customer|user|human)|juniper|agent|assistant|tool)\s*:\s*", re.I)
_HEADING = re.compile(r"^[^:\n]{0,40}(?:notes|forgotten|messages|conversation)[^:\n]{0,40}:\s*$", re.I)
_OF_THEMSELVES = re.compile(
    r"\bmy\b[^.?!]{1,60}\b(?:is|are|was|has|have|needs?)\b|\bmy [\w ]{1,30}'s\b|\b(?:call me|remember)\b"
    r"|\b(?:i|we)(?: am| are| have| live| own| prefer| like| love| hate| grow| work|'m|'ve|'re)\b",
    re.I,
)
_WISH = re.compile(r"\b(?:i|we) (?:want|need|would like|bought|ordered|paid)\b", re.I)


def takes_notes(instructions: str) -> bool:
    """Whether an agent is there to sum a conversation up."""
    return bool(_TASK.search(instructions))


def notes_of(messages: list[str]) -> str:
    """Notes, made by rules: what customers said of themselves, in their words, and the orders they named.

    Args:
        messages: Of the customer; or a text with the notes so far and lines of the form "Customer: …".
    """
    said = [line for text in messages for line in _lines(text)]
    numbers = list(dict.fromkeys(one for line in said for one in orders(line)))
    facts = list(dict.fromkeys(s for line in said for s in _sentences(line) if not s.startswith("Orders:")))
    kept = [fact for fact in facts if _OF_THEMSELVES.search(fact) or _WISH.search(fact)]
    while kept and len(_notes(kept, numbers)) > LIMIT:
        wishes = (fact for fact in kept if not _OF_THEMSELVES.search(fact))
        if len(numbers) > 10:
            numbers = numbers[-10:]
        else:
            kept.remove(next(wishes, kept[0]))
    return _notes(kept, numbers[-10:])


def said_about(what: str, *texts: str) -> str | None:
    """The last sentence of a customer that speaks of something: "cat" finds "My cats are Miso and Tofu."."""
    wanted = [word[:6] for word in stems(what)]
    found = None
    for text in texts:
        for sentence in _sentences(text):
            words = stems(sentence)
            if wanted and all(any(word.startswith(one) for word in words) for one in wanted):
                found = sentence
    return found


def _notes(facts: list[str], numbers: list[str]) -> str:
    named = ["Orders: " + ", ".join(numbers) + "."] if numbers else []
    said = ["The customer said:", *facts] if facts else ["The customer said nothing of themselves."]
    return " ".join([*said, *named, _CLOSING])


def _lines(text: str) -> list[str]:
    """What the customer said: not the agent's lines, where a text has both."""
    found, theirs = [], True
    for line in text.replace("’", "'").splitlines():
        if _HEADING.match(line):
            theirs = True
        elif speaker := _SPEAKER.match(line):
            theirs = bool(speaker["customer"])
            line = line[speaker.end() :]
        if theirs and not _HEADING.match(line):
            found.append(line)
    return found


def _sentences(text: str) -> list[str]:
    """Statements: a question tells nothing."""
    text = text.replace("The customer said:", "").replace(_CLOSING, "")
    whole = (sentence.strip() for sentence in re.split(r"(?<=[.!?])\s+|\n", text))
    return [s[:160].rstrip(".") + "." for s in whole if s and not s.endswith("?")]
