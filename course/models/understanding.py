"""What the offline model reads: the words of the shop, and the conversation that a model call brings."""

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

PLANTS = re.split(
    r",\s*",
    """Monstera, Ficus, Calathea, Aloe, Pothos, Fern, Cactus, Orchid, Bonsai, Basil, Lavender, Begonia,
    Philodendron, Alocasia, Hoya, Ivy, Jade, Yucca, Palm, Snake plant, Peace lily, Rubber plant, Spider plant,
    ZZ plant, Dracaena, Pilea, Succulent""",
)
CARE = {
    "Monstera": "bright, indirect light, and water when the top of the soil is dry",
    "Ficus": "a bright, steady place, and water once a week; it sulks when moved",
    "Calathea": "shade, warmth and soft water; keep the soil slightly moist",
    "Aloe": "full light, and water every two to three weeks",
    "Pothos": "almost any light, and water when the leaves hang a little",
    "Fern": "shade, and soil that never dries out",
    "Cactus": "full sun, and water once a month",
    "Orchid": "an east window, and a short bath once a week",
}

STOP_WORDS = set(
    re.findall(
        r"\w+",
        """a an and any are as at be been but by can could did do does for from got had has have hello
        hey hi how i if in is it its ll me mine much many my no not of on or our please re so some
        than thank thanks that the their them then there these they this those to too us ve was we
        were what when where which who will with would yes you your eur euro euros cent cents usd
        dollars both number no nr id""",
    )
)
# What a word stands for once its ending is off (`paquet`, and not `paquete`); a word that is not here stands for itself.
_MEANS = {
    stem: meaning
    for meaning, all_stems in {
        "refund": "reimburs", "stock": "availabl sell inventor", "notif": "notific", "advic": "advis tip",
        "order": "parcel packag purchas", "record": "stor log sav", "deliver": "ship track arriv",
        "plant": "speci flower variet product item articl",
    }.items()
    for stem in all_stems.split()
}  # fmt: skip
_COUNTING = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {word: count for count, word in enumerate(_COUNTING.split())}
_NUMBERS |= {"twenty": 20, "thirty": 30, "fifty": 50, "hundred": 100}

_SPLIT = re.compile(r"(?:(?<!\d)[.,]|[.,](?!\d)|[?!;\n]|\b(?:and|also|then|plus)\b|&)+", re.IGNORECASE)
_ORDER = re.compile(
    r"(?:\border(?:s|\s+(?:number|no\.?|nr\.?|id))?\s*[:#]?\s*#?|#\s*)([A-Z]{0,3}-?\d{1,12})\b|(?<![\w.,€$-])(\d{4})(?![\w-]|[.,]\d)",
    re.IGNORECASE,
)
_PLANT = re.compile(r"\b(" + "|".join(sorted(PLANTS, key=len, reverse=True)) + r")(?:e?s)?\b", re.IGNORECASE)
_UNKNOWN_PLANT = re.compile(
    r"\b(?:have|sell|stock|got|many|any|of|about)\s+(?:(?:a|an|any|some|the)\s+)?([A-Z][a-zA-Z'-]{2,30}?)s?(?=\W*$|\s+(?:in|left|are|available|plants?)\b)"
)
_COIN = r"(?:EUR|euros?|€|USD|dollars?|\$)"
_NUMBER = r"\d{1,9}(?:[.,]\d{1,2})?"
_MONEY = re.compile(
    rf"({_NUMBER})\s*(cents?)\b|({_NUMBER})\s*{_COIN}|[€$]\s*({_NUMBER})|\b({'|'.join(_NUMBERS)})\s+{_COIN}"
    r"|(?<![\w.,/-])(\d{1,9}[.,]\d{2})(?![\w.,]\d|\d)|_cents\W{1,4}(\d{1,9})",
    re.IGNORECASE,
)


# The first line of notes that somebody took of a conversation; they stand below it.
_NOTES = re.compile(r"\W*(?:notes|(?:a )?summary) (?:of|on) [^\n]*\n", re.IGNORECASE)


# Every model call brings the whole conversation again.
_read_once = functools.lru_cache(maxsize=1024)


@_read_once
def stems(text: str) -> tuple[str, ...]:
    """The words of a text that carry meaning, without their endings: "Cancelled orders" is cancel, order."""
    found = []
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower().replace("money back", "refund")
    for word in re.findall(r"[^\W\d_]+", text):
        if len(word) > 1 and word not in STOP_WORDS:
            stem = re.sub(r"(?<=\w{3})(?:ations?|ings?|ies|ied|ed|es|s|y|e)$", "", word)
            stem = re.sub(r"([b-df-hj-km-np-rtv-z]|l)\1$", r"\1", stem) if len(stem) > 4 else stem
            found.append(_MEANS.get(stem, stem))
    return tuple(found)


@_read_once
def orders(text: str) -> tuple[str, ...]:
    """Order numbers: four digits, or what follows the word order or a hash."""
    found = [a or b for a, b in _ORDER.findall(_MONEY.sub(" ", text))]
    return tuple(dict.fromkeys(found))


@_read_once
def plants(text: str) -> tuple[str, ...]:
    """Plants by name; a capitalised stranger too where it is asked for ("Do you have a Strelitzia?")."""
    names = {name.lower(): name for name in PLANTS}
    found = [names[name.lower()] for name in _PLANT.findall(text)]
    return tuple(dict.fromkeys(found or _UNKNOWN_PLANT.findall(text)))


@_read_once
def cents(text: str) -> tuple[int, ...]:
    """Amounts of money, in cents: "12.50 EUR", "€ 12,50", "850 cents", "ten euros"."""
    found = []
    for coins, _, a, b, word, c, field_ in _MONEY.findall(text):
        if coins or field_:
            found.append(int(float((coins or field_).replace(",", "."))))
        elif word:
            found.append(_NUMBERS[word.lower()] * 100)
        else:
            found.append(round(float((a or b or c).replace(",", ".")) * 100))
    return tuple(found)


def number(text: str) -> int | None:
    """The first count in a text that is neither an order nor money: 3, or "ten"."""
    rest = _ORDER.sub(" ", _MONEY.sub(" ", text)).lower()
    match = re.search(r"\b(\d{1,9}|" + "|".join(_NUMBERS) + r")\b", rest)
    return None if match is None else _NUMBERS.get(match[1]) or int(match[1])


def has(pattern: str, text: str, after: str = "") -> re.Match[str] | None:
    """Where a text has one of these words: a pattern, whatever the case."""
    return re.search(rf"\b(?:{pattern})\b{after}", text, re.IGNORECASE)


def clauses(text: str) -> list[str]:
    """A message, cut into the things it asks for."""
    return [part.strip() for part in _SPLIT.split(text) if part.strip()]


def clean(text: Any, limit: int = 2000) -> str:
    """Text that any service can store: no lone surrogates, no control characters, not endless."""
    text = str(text).encode("utf-8", "replace").decode()
    return "".join(c for c in text[:limit] if c in "\n\t" or ord(c) >= 32).strip()


def plain(value: Any) -> Any:
    """JSON-ready: Pydantic hands over parts of a conversation as models, and as iterators that read once."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    try:
        return [plain(item) for item in value] if isinstance(value, Iterable) else str(value)
    except ValueError:  # such an iterator checks what it reads, and only then
        return []


def fingerprint(*parts: Any) -> str:
    """The same parts give the same 32 digits in any process, whatever the text holds."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def known(what: str, *texts: str) -> str | None:
    """What a customer said of themselves: "my name is Ada", "I'm Ada"; the latest counts."""
    is_ = r"(?:'s\s+name\s+is|\s+is\s+called|\s+is|'s|\s*:)\s+"
    patterns = [rf"\b(?i:my|customer's|their)\s+(?i:{re.escape(what)})(?i:{is_})([^.,!?;\n]{{1,60}})"]
    if what == "name":
        patterns.append(r"\b(?i:i am|i'm|this is|call me|i am called)\s+([A-Z][\w'-]{1,30})")
    texts = [text.replace("’", "'") for text in texts]
    found = [match for text in texts for one in patterns for match in re.finditer(one, text)]
    return found[-1][1].strip() if found else None


@dataclass
class Call:
    """A tool call of this turn, with what came back (None: nothing yet)."""

    name: str
    arguments: str
    output: str | None = None


@dataclass
class Turn:
    """One model call's input: what was said before, the message to answer, and this turn's tool calls."""

    instructions: str
    earlier: list[str] = field(default_factory=list)
    message: str = ""
    notes: str = ""  # of what was said before the earlier messages
    whole: list[str] = field(default_factory=list)  # the messages, none of them shortened
    calls: list[Call] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)  # of the whole conversation

    @classmethod
    def read(cls, instructions: str | None, items: Any) -> "Turn":
        """From a conversation in the Responses format: a text, or items. What is unknown is skipped."""
        turn = cls(instructions or "")
        said, calls = [], {}
        for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
            if not isinstance(item, dict):
                continue
            kind, role = item.get("type", "message"), item.get("role")
            text = _text(item.get("content")) if kind == "message" else ""
            if role in ("user", "system", "developer") and _NOTES.match(text):
                turn.notes += text.partition("\n")[2] + "\n"
            elif kind == "message" and role == "user":
                turn.whole.append(text)
                said.append(_excerpt(text))
                calls = {}
            elif kind == "message" and role in ("system", "developer"):
                turn.instructions += "\n" + text
            elif kind == "function_call":
                calls[item.get("call_id")] = Call(str(item.get("name", "")), str(item.get("arguments", "")))
            elif kind == "function_call_output":
                turn.outputs.append(clean(_text(item.get("output"))))
                if item.get("call_id") in calls:
                    calls[item["call_id"]].output = turn.outputs[-1]
        turn.calls = list(calls.values())
        *turn.earlier, turn.message = said or [""]
        return turn


def _text(content: Any) -> str:
    if isinstance(content, list):
        parts = (part.get("text", "") if isinstance(part, dict) else part for part in content)
        return "\n".join(map(str, parts))
    return "" if content is None else content if isinstance(content, str) else json.dumps(content)


def _excerpt(text: str, ends: int = 4000) -> str:
    """Nobody's question is longer: the middle of a very long text is not read."""
    return text if len(text) <= 2 * ends else text[:ends] + " … " + text[-ends:]
