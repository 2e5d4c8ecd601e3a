"""How the offline model chooses tools: by the words of their names and descriptions, whatever the tool."""

import re
from dataclasses import dataclass, replace
from typing import Any

from .filling import NOT, Facts, Schema, facts_of, fill, kind, spoken_of, with_amount
from .understanding import Turn, cents, clauses, has, orders, plants, stems

# Words in a tool's name that say nothing about what it is for.
_GENERIC = set(
    stems(
        """look up get find fetch show list check read query search tell ask issue make give create call run order
        plant customer info information detail status tool activity level send transfer to agent handoff handle
        request shop desk juniper"""
    )
)
_READING = {"stock", "deliver"}  # with no other word, a tool that only reads
_ABOUT_STOCK = re.compile(
    r"\b(have|got|sell|stock|available|left|buy|price|costs?|want|order|any|many|how much is)\b",
    re.I,
)
_BOOK = re.compile(
    r"\b(record|save|store|log|note|notify|tell)\s+(this|it|that|me|us|them|my|the|everyone|everything)\b",
    re.I,
)
SILENCE = re.compile(  # "please don't record this"
    r"\b(don't|do not|never|without|stop|not)\b[^.?!]{0,30}?"
    r"\b(record|sav|stor|log|writ|keep|not)(?:e|ing|ify|ifying|ging)?\s+(this|it|that|any\w*|my|me|what|a|the)\b",
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
    handoff: bool = False

    @classmethod
    def of(cls, name: str, description: str, schema: Schema, handoff: bool = False) -> "Skill":
        keys = frozenset(stems(name.replace("_", " "))) - _GENERIC
        hints = frozenset(stems(description[:400])) - _GENERIC - keys
        handoff = handoff or name.startswith("transfer_to_")  # an endpoint is told of these as tools
        return cls(name, description, schema if isinstance(schema, dict) else {}, keys, hints, handoff)

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


@dataclass(frozen=True)
class Wanted:
    """A tool call that is due."""

    name: str
    arguments: dict[str, Any]
    duty: bool = False

    @classmethod
    def of(cls, skill: Skill, facts: Facts, *, duty: bool = False) -> "Wanted":
        return cls(skill.name, fill(skill.schema, "", facts), duty)


def chosen(turn: Turn, skills: list[Skill], draft: str) -> list[Wanted]:
    """The tool calls that this message asks for, duties last, without those already made in this turn."""
    duties = {skill.name for skill in skills if is_duty(skill, turn.instructions)}
    made = {call.name for call in turn.calls}
    asked = _asked(turn, [skill for skill in skills if skill.name not in duties], made, draft)
    handoff = _handoff(turn, skills, asked)
    if handoff and handoff.name not in made:
        return [Wanted.of(handoff, Facts(turn, turn.message))]
    facts = facts_of(turn, turn.message, draft)
    due = [skill for skill in skills if skill.name in duties - made]
    asked += [(skill, facts) for skill in due if all(map(facts.has, skill.needs.values()))]
    wanted = [Wanted.of(skill, facts, duty=skill.name in duties) for skill, facts in asked]
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


def _handoff(turn: Turn, skills: list[Skill], asked: list[tuple[Skill, Facts]]) -> Skill | None:
    """The colleague whose name or description fits better than any tool at hand."""
    words = set(stems(turn.message)) | ({"order"} if orders(turn.message) else set())
    words |= {"stock", "plant"} if plants(turn.message) else set()

    def fit(skill: Skill) -> int:
        return skill.score(words) + len(words & set(stems(skill.name.replace("_", " "))) & {"order", "plant"})

    best = max((skill for skill in skills if skill.handoff), key=fit, default=None)
    own = max((skill.score(words) + 1 for skill, _ in asked), default=0)
    return best if best and fit(best) > own else None


def _asked(turn: Turn, skills: list[Skill], made: set[str], draft: str) -> list[tuple[Skill, Facts]]:
    skills = [skill for skill in skills if not skill.handoff]
    parts = clauses(turn.message.replace("’", "'"))
    found: list[tuple[Skill, Facts]] = []
    previous: Skill | None = None
    for i, part in enumerate(parts):
        # What "it" is: this clause, those before it, those after it, then the conversation.
        near = [part, *reversed(parts[:i]), *parts[i + 1 :], *reversed(turn.earlier)]
        facts = spoken_of(near, turn, part, reply=draft)
        skill = _best(part, skills, previous)
        if skill is None:
            continue
        previous = skill
        if "order" in skill.needs.values():
            each = [with_amount(replace(facts, orders=[one])) for one in facts.orders]
        elif "plant" in skill.needs.values():
            each = [replace(facts, plants=[one]) for one in facts.plants]
        else:
            each = [with_amount(facts)]
        for one in each:
            lacking = [what for what in skill.needs.values() if not one.has(what)]
            look_up = next((s for s in skills if s.reads("order")), None)
            if lacking == ["money"] and one.orders and look_up:  # what did it cost? Look it up first
                found.append((look_up, one))
            elif not lacking:
                found.append((skill, one))
    return [(skill, facts) for skill, facts in found if skill.name not in made]


def _best(part: str, skills: list[Skill], previous: Skill | None) -> Skill | None:
    """The tool that fits one clause."""
    words = set(stems(part))
    names = set(stems(" ".join(plants(part))))
    bare = not (words - names - set(stems("order plant one two three four five six seven eight nine ten")))
    found = {"order": orders(part), "plant": plants(part), "money": cents(part)}
    mentioned = {what for what, there in found.items() if there}
    if bare and previous and mentioned & set(previous.needs.values()):
        return previous

    def fits(skill: Skill) -> bool:
        kinds = set(skill.needs.values()) & {"order", "plant", "money"}
        if {"record", "notif"} & skill.keys and not kinds:
            return bool(_BOOK.search(part)) and bool(skill.keys & words) and not SILENCE.search(part)
        if NOT.search(part) and not (skill.reads("order") or skill.reads("plant")):
            return False
        enough = 2 if kinds or not skill.needs or len(skill.keys) < 2 else 3
        return skill.score(words) >= enough and bool(kinds or skill.keys & words)

    fitting = [skill for skill in skills if fits(skill)]
    if fitting:
        return max(fitting, key=lambda skill: skill.score(words))
    about_order = "order" in mentioned or words & {"order", "deliver"}
    if about_order or has(r"where\b.*\bit", part):
        return next((skill for skill in skills if skill.reads("order")), None)
    for_sale = bare or (_ABOUT_STOCK.search(part) and not has("my", part))
    if ("plant" in mentioned and for_sale) or "stock" in words:
        return next((skill for skill in skills if skill.reads("plant")), None)
    return None
