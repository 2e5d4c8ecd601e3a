"""How the offline model chooses tools and fills their arguments: by words and schema, whatever the tool."""

import re
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from .reading import Turn, cents, clauses, clean, known, number, orders, plants, stems

Schema = dict[str, Any]

# Words in a tool's name that say nothing about what it is for.
_GENERIC = set(
    stems("look up get find fetch show list check read query search tell ask issue make give create call run")
)
_GENERIC |= set(
    stems("order plant customer info information detail status tool activity level send transfer to agent")
)
_GENERIC |= set(stems("handoff handle request shop desk juniper"))
_READING = {"stock", "deliver"}  # with no other word, a tool that only reads
_ABOUT_STOCK = re.compile(
    r"\b(have|has|got|sell|stock|available|left|buy|price|costs?|want|order|any|many|how much is)\b",
    re.I,
)
_NOT = re.compile(r"\b(don't|do not|never|won't|rather not)\b", re.I)
_BOOK = re.compile(
    r"\b(record|save|store|log|note|notify|tell)\s+(this|it|that|me|us|them|everyone|everything)\b", re.I
)
SILENCE = re.compile(
    r"\b(don't|do not|never|without|stop|not)\b[^.?!]{0,30}\b(record|sav|stor|log|writ|not(?:e|if)|keep)",
    re.I,
)
_ALWAYS = re.compile(
    r"\balways\b|\b(?:every|each)\b(?:\s+\w+){0,3}?\s+(?:message|answer|turn|reply|response|time)\b", re.I
)
_SOMETIMES = re.compile(r"\b(if|when|whenever|unless|asked? about|questions? about)\b", re.I)


@dataclass(frozen=True)
class Skill:
    """A tool or handoff, as the rules see it."""

    name: str
    description: str
    schema: Schema
    keys: frozenset[str] = frozenset()
    hints: frozenset[str] = frozenset()

    @classmethod
    def of(cls, name: str, description: str, schema: Schema) -> "Skill":
        keys = frozenset(stems(name.replace("_", " "))) - _GENERIC
        hints = frozenset(stems(description[:400])) - _GENERIC - keys
        return cls(name, description, schema if isinstance(schema, dict) else {}, keys, hints)

    @property
    def handoff(self) -> bool:
        return self.name.startswith("transfer_to_")

    @property
    def needs(self) -> dict[str, str]:
        """The parameters that must be filled, and what with: order, plant, money, or nothing known ("")."""
        properties = self.schema.get("properties") or {}
        return {
            n: kind(n, properties.get(n, {}))
            for n in self.schema.get("required", [])
            if "default" not in properties.get(n, {})
        }

    def reads(self, what: str) -> bool:
        """Whether it only looks up an order, or a plant."""
        return what in self.needs.values() and self.keys <= _READING and not self.handoff

    def score(self, words: set[str]) -> int:
        return 2 * len(self.keys & words) + len(self.hints & words)


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


@dataclass(frozen=True)
class Wanted:
    """A tool call that is due."""

    name: str
    arguments: dict[str, Any]
    duty: bool = False


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
    return (
        "money"
        if re.search(r"amount|cents|price|total|sum|eur", name, re.I) and schema.get("type") != "string"
        else ""
    )


def chosen(turn: Turn, skills: list[Skill], draft: str) -> list[Wanted]:
    """The tool calls that this message asks for, duties last, without those already made in this turn."""
    duties = {skill.name for skill in skills if is_duty(skill, turn.instructions)}
    made = {call.name for call in turn.calls}
    asked = _asked(turn, [skill for skill in skills if skill.name not in duties], made)
    handoff = _handoff(turn, skills, asked)
    if handoff and handoff.name not in made:
        return [Wanted(handoff.name, fill(handoff.schema, "", Facts(turn, turn.message)))]
    facts = facts_of(turn, turn.message, draft)
    for skill in skills:
        if (
            skill.name in duties
            and skill.name not in made
            and all(facts.has(what) for what in skill.needs.values())
        ):
            asked.append((skill, facts))
    wanted = [
        Wanted(skill.name, fill(skill.schema, "", facts), skill.name in duties) for skill, facts in asked
    ]
    return [call for i, call in enumerate(wanted) if call not in wanted[:i]]


def is_duty(skill: Skill, instructions: str) -> bool:
    """Named in the instructions in one sentence (or in a list under it) with "always" or "every message"."""
    heading = ""
    for line in instructions.splitlines():
        listed = re.match(r"\s*(?:[-*•]|\d+[.)])\s", line)
        for sentence in re.split(r"(?<=[.!?])\s+", f"{heading} {line}" if listed else line):
            if re.search(rf"\b{re.escape(skill.name)}\b", sentence) and _ALWAYS.search(sentence):
                every = re.search(r"\b(every|each)\b", sentence, re.I)
                if every or not _SOMETIMES.search(sentence):
                    return not skill.handoff
        if not listed:
            heading = line if line.rstrip().endswith(":") else ""
    return False


def facts_of(turn: Turn, clause: str, reply: str = "", *, output: bool = False) -> Facts:
    """The facts for a whole message: its own order, or the last one that the conversation mentions."""
    places = [clause, turn.message, *reversed(turn.earlier)]
    found = Facts(turn, clause, reply=reply, output=output)
    found.orders = next(filter(None, map(orders, places)), [])
    found.plants = next(filter(None, map(plants, places)), [])
    return _with_amount(found)


def _with_amount(facts: Facts) -> Facts:
    """An amount that the customer names, or the last one in what a tool said of this order."""
    named = cents(facts.clause) or (cents(facts.turn.message) if len(orders(facts.turn.message)) < 2 else [])
    told = [text for text in facts.turn.outputs if facts.orders and facts.orders[0] in text and cents(text)]
    told.sort(key=lambda text: "refund" not in text.lower())  # what was paid back is not what it cost
    amount = named[0] if named else cents(told[-1])[-1] if told else None
    return replace(facts, amount=amount)


def _handoff(turn: Turn, skills: list[Skill], asked: list[tuple[Skill, Facts]]) -> Skill | None:
    """The colleague whose name or description fits better than any tool at hand."""
    words = set(stems(turn.message)) | ({"order"} if orders(turn.message) else set())
    words |= {"stock", "plant"} if plants(turn.message) else set()

    def fit(skill: Skill) -> int:
        return skill.score(words) + len(words & set(stems(skill.name.replace("_", " "))) & {"order", "plant"})

    best = max((skill for skill in skills if skill.handoff), key=fit, default=None)
    own = max((skill.score(words) + 1 for skill, _ in asked), default=0)
    return best if best and fit(best) > own else None


def _asked(turn: Turn, skills: list[Skill], made: set[str]) -> list[tuple[Skill, Facts]]:
    skills = [skill for skill in skills if not skill.handoff]
    parts = clauses(turn.message.replace("’", "'"))
    found: list[tuple[Skill, Facts]] = []
    previous: Skill | None = None
    for i, part in enumerate(parts):
        near = [
            part,
            *reversed(parts[:i]),
            *parts[i + 1 :],
        ]  # "it": this message first, then the conversation
        facts = Facts(turn, part)
        facts.orders = next(filter(None, map(orders, [*near, *reversed(turn.earlier)])), [])
        facts.plants = next(filter(None, map(plants, [*near, *reversed(turn.earlier)])), [])
        facts = _with_amount(facts)
        skill = _best(part, skills, previous)
        if skill is None:
            continue
        previous = skill
        lacking = [what for what in skill.needs.values() if not facts.has(what)]
        if lacking == ["money"] and facts.orders:  # what did it cost? Look it up first
            skill = next((s for s in skills if s.reads("order")), None)
            lacking = []
        if skill is None or lacking or skill.name in made:
            continue
        each = (
            "orders"
            if "order" in skill.needs.values()
            else "plants"
            if "plant" in skill.needs.values()
            else None
        )
        for one in getattr(facts, each) if each else [None]:
            found.append((skill, replace(facts, **{each: [one]}) if each else facts))
    return found


def _best(part: str, skills: list[Skill], previous: Skill | None) -> Skill | None:
    """The tool that fits one clause."""
    words = set(stems(part))
    names = set(stems(" ".join(plants(part))))
    bare = not (words - names - set(stems("order plant one two three four five six seven eight nine ten")))
    mentioned = {
        what
        for what, there in (("order", orders(part)), ("plant", plants(part)), ("money", cents(part)))
        if there
    }
    if bare and previous and mentioned & set(previous.needs.values()):
        return previous

    def fits(skill: Skill) -> bool:
        kinds = set(skill.needs.values()) & {"order", "plant", "money"}
        if {"record", "notif"} & skill.keys and not kinds:
            return bool(_BOOK.search(part)) and bool(skill.keys & words) and not SILENCE.search(part)
        if _NOT.search(part) and not (skill.reads("order") or skill.reads("plant")):
            return False
        enough = 2 if kinds or not skill.needs or len(skill.keys) < 2 else 3
        return skill.score(words) >= enough and bool(kinds or skill.keys & words)

    fitting = [skill for skill in skills if fits(skill)]
    if fitting:
        return max(fitting, key=lambda skill: skill.score(words))
    about_order = "order" in mentioned or words & {"order", "deliver"}
    if about_order or re.search(r"\bwhere\b.*\bit\b", part, re.I):
        return next((skill for skill in skills if skill.reads("order")), None)
    if ("plant" in mentioned and (bare or _ABOUT_STOCK.search(part))) or "stock" in words:
        return next((skill for skill in skills if skill.reads("plant")), None)
    return None


def fill(schema: Schema, name: str, facts: Facts, root: Schema | None = None, depth: int = 0) -> Any:
    """A value that is valid against a JSON schema, filled by names; the unknown gets its default."""
    root = schema if root is None else root
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].lstrip("#/").split("/"):
            target = target.get(step, {})
        return fill(
            {**target, **{k: v for k, v in schema.items() if k != "$ref"}}, name, facts, root, depth + 1
        )
    if schema.get("allOf"):
        return fill(
            {k: v for part in [*schema["allOf"], schema] for k, v in part.items() if k != "allOf"},
            name,
            facts,
            root,
            depth,
        )
    options = schema.get("anyOf") or schema.get("oneOf") or [{**schema, "type": t} for t in _types(schema)]
    if len(options) > 1 or "anyOf" in schema or "oneOf" in schema:
        kept = [option for option in options if option.get("type") != "null"] or options
        if len(kept) < len(options) and (depth > 8 or not _called_for(kept[0], name, facts, root)):
            return None
        return fill(max(kept, key=lambda option: _overlap(option, facts, root)), name, facts, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        said = [
            v
            for v in schema["enum"]
            if isinstance(v, str) and set(stems(v.replace("_", " "))) & set(stems(facts.clause))
        ]
        return [*said, *([schema["default"]] if "default" in schema else []), *schema["enum"]][0]
    match (_types(schema) or ["object" if "properties" in schema else "string"])[0]:
        case "object":
            inner = schema.get("properties") or {}
            if not inner:
                return (
                    {}
                    if schema.get("additionalProperties") is False or depth == 0
                    else {"message": clean(facts.turn.message)}
                )
            known_of = [
                n
                for n in inner
                if n in schema.get("required", inner) or (kind(n, inner[n]) and facts.has(kind(n, inner[n])))
            ]
            return {n: fill(inner[n], n, facts, root, depth + 1) for n in known_of}
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


def _types(schema: Schema) -> list[str]:
    return (
        schema["type"]
        if isinstance(schema.get("type"), list)
        else [schema["type"]]
        if "type" in schema
        else []
    )


def _resolved(schema: Schema, root: Schema) -> Schema:
    return root.get("$defs", {}).get(schema["$ref"].rsplit("/", 1)[-1], {}) if "$ref" in schema else schema


def _overlap(schema: Schema, facts: Facts, root: Schema) -> int:
    target = _resolved(schema, root)
    return len(
        set(stems(f"{target.get('title', '')} {target.get('description', '')}"))
        & set(stems(facts.turn.message))
    )


def _called_for(schema: Schema, name: str, facts: Facts, root: Schema) -> bool:
    """Whether an optional field is worth filling: the message speaks of it, and what it needs is known."""
    target = _resolved(schema, root)
    if kind(name, target):
        return facts.has(kind(name, target))
    needs = [
        kind(n, s) for n, s in (target.get("properties") or {}).items() if n in target.get("required", [])
    ]
    spoken = set(stems(name.replace("_", " "))) & set(stems(facts.turn.message.replace("’", "'")))
    return (
        bool(spoken) and all(map(facts.has, needs)) and not _NOT.search(facts.turn.message.replace("’", "'"))
    )


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
            value = (
                facts.amount
                if facts.amount is None or "cent" in name or numeric == "integer"
                else facts.amount / 100
            )
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
    if words & set(stems("answer reply response summary")) or (
        facts.output and words & set(stems("message text content"))
    ):
        return clean(facts.reply or message)
    if "reason" in words or "caus" in words:
        because = re.search(
            r"\b(?:because|since|as it|it (?:was|came|arrived|died)|arrived)\b.*", message, re.I
        )
        return (because[0] if because else clean(facts.clause, 200)) or "The customer asked for it."
    if "channel" in words:
        return "webhook" if "webhook" in low + message.lower() else schema.get("default", "email")
    if words & set(stems("mail email recipient")):
        return mail[0] if mail else schema.get("default", "customer@example.com")
    if words & set(stems("customer name user")):
        return known("name", turn.instructions, *turn.earlier, turn.message) or schema.get(
            "default", "customer"
        )
    if words & set(stems("message text question query content note body data comment")):
        return message
    free = given or quoted or place
    return clean(free[1]) if free else schema.get("default") or clean(facts.clause) or message


def _task(turn: Turn) -> str:
    """The task id that the instructions give."""
    found = re.search(r"task[ _]id\s*(?:is|=|:)?\s*[\"'`“]?([\w./:-]*\w)", turn.instructions, re.I)
    return found[1] if found else "task"
