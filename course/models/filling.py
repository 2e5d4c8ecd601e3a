"""How arguments and typed output are filled: by the names in a JSON schema, from what the conversation says."""

import re
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from .understanding import Turn, cents, clean, has, known, number, orders, plants, stems

Schema = dict[str, Any]

_SMALL_WORDS = {"thank", "thanks", "yes", "no"}  # they mean nothing to a tool, and much to a choice
NOT = re.compile(r"\b(don't|do not|never|won't|rather not)\b", re.I)


@dataclass
class Facts:
    """What arguments are filled from."""

    turn: Turn
    clause: str = ""
    orders: list[str] = field(default_factory=list)
    plants: list[str] = field(default_factory=list)
    amount: int | None = None  # cents
    reply: str = ""
    output: bool = False  # the agent's typed output, not a tool's arguments

    def has(self, what: str) -> bool:
        return bool({"order": self.orders, "plant": self.plants, "money": self.amount}.get(what, True))


def facts_of(turn: Turn, clause: str, reply: str = "", **more: Any) -> Facts:
    """The facts for a whole message: its own order, or the last one that the conversation mentions."""
    places = [clause, turn.message, *reversed(turn.earlier)]
    return with_amount(spoken_of(places, turn, clause, reply=reply, **more))


def spoken_of(places: list[str], *about: Any, **more: Any) -> Facts:
    """The facts with the orders and plants of the first of these texts that names any."""
    named = [next(filter(None, map(find, places)), []) for find in (orders, plants)]
    return Facts(*about, *named, **more)


def with_amount(facts: Facts) -> Facts:
    """An amount that the customer names, or the last one in what a tool said of this order."""
    named = cents(facts.clause) or (cents(facts.turn.message) if len(orders(facts.turn.message)) < 2 else [])
    told = [text for text in facts.turn.outputs if facts.orders and facts.orders[0] in text and cents(text)]
    told.sort(key=lambda text: "refund" not in text.lower())  # what was paid back is not what it cost
    amount = named[0] if named else cents(told[-1])[-1] if told else None
    return replace(facts, amount=amount)


def kind(name: str, schema: Schema) -> str:
    """What a parameter takes, by its name."""
    words = set(stems(name.replace("_", " ")))
    if "refund" in words and "id" in name.lower():
        return ""
    numeric = schema.get("type") in ("integer", "number")
    if "order" in words and (not numeric or "id" in name.lower() or words == {"order"}):
        return "order"
    if "plant" in words and not numeric:
        return "plant"
    money = re.search(r"amount|cents|price|total|sum|eur", name, re.I)
    return "money" if money and schema.get("type") != "string" else ""


def fill(schema: Schema, name: str, facts: Facts, root: Schema | None = None, depth: int = 0) -> Any:
    """A value that is valid against a JSON schema, filled by names; the unknown gets its default."""
    root = schema if root is None else root
    if facts.output and (listed := choices(name, facts.turn.instructions)):
        return _chosen(listed, facts.turn.message)
    if "$ref" in schema:
        return fill(_resolved(schema, root), name, facts, root, depth + 1)
    if schema.get("allOf"):
        parts = [*schema["allOf"], schema]
        whole = {k: v for part in parts for k, v in part.items() if k != "allOf"}
        return fill(whole, name, facts, root, depth)
    options = schema.get("anyOf") or schema.get("oneOf") or [{**schema, "type": t} for t in _types(schema)]
    if len(options) > 1 or "anyOf" in schema or "oneOf" in schema:
        kept = [option for option in options if option.get("type") != "null"] or options
        if len(kept) < len(options) and (depth > 8 or not _called_for(kept[0], name, facts, root)):
            return None
        return fill(max(kept, key=lambda option: _overlap(option, facts, root)), name, facts, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        spoken = set(stems(facts.clause))
        texts = [v for v in schema["enum"] if isinstance(v, str)]
        said = [v for v in texts if set(stems(v.replace("_", " "))) & spoken]
        return [*said, *([schema["default"]] if "default" in schema else []), *schema["enum"]][0]
    match (_types(schema) or ["object" if "properties" in schema else "string"])[0]:
        case "object":
            inner = schema.get("properties") or {}
            if not inner and depth and schema.get("additionalProperties") is not False:
                return {"message": clean(facts.turn.message)}
            required = schema.get("required", inner)
            wanted = [n for n, s in inner.items() if n in required or (kind(n, s) and facts.has(kind(n, s)))]
            return {n: fill(inner[n], n, facts, root, depth + 1) for n in wanted}
        case "array":
            return _array(schema, name, facts, root, depth)
        case "boolean":
            return schema.get("default", bool(set(stems(name.replace("_", " "))) & set(stems(facts.clause))))
        case "integer" | "number" as numeric:
            return _number(schema, name, facts, numeric)
        case "null":
            return None
        case _:
            text = _string(schema, name, facts)[: schema.get("maxLength", 4000)]
            return text.ljust(schema.get("minLength", 0), ".")


def choices(name: str, instructions: str) -> dict[str, str]:
    """What the instructions list for an output field, "… as `move`:" and lines "- value: when it is due"."""
    listed = re.search(rf"`{re.escape(name)}`:\n((?:- .+\n?)+)", instructions) if name else None
    return dict(re.findall(r"^- ([\w-]+): (.+)$", listed[1], re.M)) if listed else {}


def _chosen(listed: dict[str, str], message: str) -> str | None:
    """The value whose words the message shares most; else the one that is for all other cases."""

    def words(text: str, named: bool) -> set[str]:
        spoken = set(re.findall(r"[a-z]+", text.lower())) & _SMALL_WORDS
        found = spoken | set(stems(text))
        if named:  # who speaks of an order does not yet say which
            found -= {"order", "plant"}
            found |= {what for what, names in (("order", orders), ("plant", plants)) if names(text)}
        return found

    said = words(message, named=True)
    other = [value for value, when in listed.items() if when.startswith("otherwise")]
    due = {value: words(when, named=False) for value, when in listed.items() if value not in other}
    shared = {value: len(said & when) for value, when in due.items()}
    best = max(shared, key=lambda value: shared[value], default=None)
    return best if best is not None and shared[best] else next(iter(other), None)


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return types if isinstance(types, list) else [types]


def _resolved(schema: Schema, root: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    target: Any = root
    for step in schema["$ref"].lstrip("#/").split("/"):
        target = target.get(step, {})
    return {**target, **{k: v for k, v in schema.items() if k != "$ref"}}


def _overlap(schema: Schema, facts: Facts, root: Schema) -> int:
    target = _resolved(schema, root)
    words = stems(f"{target.get('title', '')} {target.get('description', '')}")
    return len(set(words) & set(stems(facts.turn.message)))


def _called_for(schema: Schema, name: str, facts: Facts, root: Schema) -> bool:
    """Whether an optional field is worth filling: the message speaks of it, and what it needs is known."""
    target = _resolved(schema, root)
    if kind(name, target):
        return facts.has(kind(name, target))
    fields, message = target.get("properties") or {}, facts.turn.message.replace("’", "'")
    needs = [kind(n, s) for n, s in fields.items() if n in target.get("required", [])]
    spoken = set(stems(name.replace("_", " "))) & set(stems(message))
    return bool(spoken) and all(map(facts.has, needs)) and not NOT.search(message)


def _array(schema: Schema, name: str, facts: Facts, root: Schema, depth: int) -> list[Any]:
    items = schema.get("items") or {}
    item, said = _resolved(items, root), [clean(text) for text in [*facts.turn.earlier, facts.turn.message]]
    if item.get("type", "string") == "string" and not item.get("enum"):
        what = kind(name, item)
        values = facts.orders if what == "order" else facts.plants if what == "plant" else said[-3:]
    else:
        values = [fill(items, name, facts, root, depth + 1)] if depth < 6 and ("enum" not in item) else []
    least = schema.get("minItems", 0)
    values = [*values, *(fill(items, name, facts, root, depth + 1) for _ in range(least - len(values)))]
    return values[: schema.get("maxItems", 20)]


def _number(schema: Schema, name: str, facts: Facts, numeric: str) -> int | float:
    value: int | float | None
    match kind(name, schema):
        case "money":
            in_cents = facts.amount is None or "cent" in name or numeric == "integer"
            value = facts.amount if in_cents else facts.amount / 100
        case "order":
            value = int(re.sub(r"\D", "", facts.orders[0]) or 0) if facts.orders else None
        case _:
            value = number(facts.clause)
            if name == "turn":
                last = re.search(r"(\d+)$", _task(facts.turn))
                value = int(last[1]) if last else len(facts.turn.earlier) + 1
    value = schema.get("default", 1) if value is None else value
    value = min(value, schema.get("maximum", value))
    value = max(value, schema.get("minimum", value), schema.get("exclusiveMinimum", value - 1) + 1)
    return int(value) if numeric == "integer" else float(value)


def _string(schema: Schema, name: str, facts: Facts) -> str:
    words, turn, low = set(stems(name.replace("_", " "))), facts.turn, name.lower()
    message = clean(turn.message)
    named = re.escape(low.removesuffix("_id").replace("_", " "))
    given = re.search(rf"\b{named}\b\s*(?:is|=|:|to)?\s+([\w@.-]*\d[\w@.-]*)", message, re.I)
    place = re.search(r"\b(?:in|to|for|from|with)\s+([A-Z]\w+(?:\s[A-Z]\w+)?)", facts.clause)
    quoted = re.search(r"[\"“']([^\"”']{1,80})[\"”']", facts.clause)
    mail = re.search(r"[\w.+-]+@[\w-]+\.[\w.-]+", message)
    what = kind(name, schema)
    if "task" in words:
        return _task(turn)
    if "convers" in words or "conversation" in low:
        return _task(turn).split("/")[0]
    if "outcom" in words:
        return "answered"
    if "refund" in words:
        own = re.search(r"\bR-?\d[\w-]*", message)
        return own[0] if own else f"R-{(facts.orders or ['0'])[0]}-{len(turn.earlier) + 1}"
    if what:
        value = {"order": facts.orders, "plant": facts.plants, "money": [facts.amount]}[what]
        return str(value[0]) if value and value[0] is not None else schema.get("default", "")
    if schema.get("format") in ("date", "date-time"):
        return date(2026, 1, 1).isoformat() + ("T00:00:00Z" if schema["format"] == "date-time" else "")
    says = "answer reply response summary" + (" message text content" if facts.output else "")
    if words & set(stems(says)):
        return clean(facts.reply or message)
    if "reason" in words or "caus" in words:
        because = has("because|since|as it|it (?:was|came|arrived|died)|arrived", message, r".*")
        return (because[0] if because else clean(facts.clause, 200)) or "The customer asked for it."
    if "channel" in words:
        return "webhook" if "webhook" in low + message.lower() else schema.get("default", "email")
    if words & set(stems("mail email recipient")):
        return mail[0] if mail else schema.get("default", "customer@example.com")
    if words & set(stems("customer name user")):
        told = re.search(r"\bcustomer(?: is| ?=|:) ?[\"'`“]?([\w-]+)", turn.instructions, re.I)
        name = told[1] if told else known("name", *turn.earlier, turn.message)
        return name or schema.get("default", "customer")
    if words & set(stems("message text question query content note body data comment")):
        return message
    free = given or quoted or place
    return clean(free[1]) if free else schema.get("default") or clean(facts.clause) or message


def _task(turn: Turn) -> str:
    """The task id that the instructions give."""
    found = re.search(r"task[ _]id\s*(?:is|=|:)?\s*[\"'`“]?([\w./:-]*\w)", turn.instructions, re.I)
    return found[1] if found else "task"
