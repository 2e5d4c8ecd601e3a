"""What the offline model says, and what it asks back: from tool results, from the conversation, or, knowing neither,
what it is."""

import ast
import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from .choosing import SILENCE, Skill
from .filling import facts_of, fill
from .notes import said_about
from .understanding import CARE, Call, Turn, clean, has, known, orders, plants, stems

WHAT_I_AM = "I am the course's offline model (simulated: rules, not a language model)."
_CLOSING = "Is there anything else I can do for you?"
_PLAINLY = {
    "look_up_order": "look up an order",
    "check_stock": "check what is in stock",
    "issue_refund": "refund an order",
    "save_to_database": "record a message",
    "send_notification": "send a notice",
}
_ACTIONS = re.compile(r"\b(refund|cancel|return|exchange|change|replace|re-?order|redirect)\b", re.I)
_NTH = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4}
_REMEMBER = re.compile(
    r"\bwhat (?:did|have) i (?:just )?(?:ask|sa(?:y|id)|tell|told|writ|want|mention)"
    r"|\b(?:which|what) (?:order|plant)s? (?:number )?(?:did|have) i\b|\bremember\b.*\?|\bwho am i\b"
    r"|\bwhat was my (?:first|last|previous)|\bmy (?:first|last|previous) (?:message|question)"
    r"|\bwhat do you (?:still )?know (?:about|of) (?:me|my)\b",
    re.I,
)
_ABOUT = re.compile(r"\b(?:about|of|remember) (?:my|our|the) ([\w' -]{2,40}?)(?: in turn \d+)?\W*$", re.I)
_MY = re.compile(
    r"\bwhat(?:'s| is| was) my ((?!order|refund|parcel|package|delivery)[\w ]{2,30}?)(?: called)?\s*\?*$",
    re.I,
)


def remembers(message: str) -> bool:
    """Whether a message asks about the conversation itself; then no tool is needed."""
    return bool(_REMEMBER.search(message) or _MY.search(message.strip()))


def reply(
    turn: Turn,
    skills: list[Skill],
    duties: set[str],
    *,
    undone: Sequence[str] = (),
    obeyed: bool = False,
    able: bool = True,
) -> str:
    """The answer to the customer. It claims nothing that no tool result says.

    Args:
        turn: what the model was given.
        skills: the tools.
        duties: names of tools that are called for every message; an answer does not speak of them.
        undone: what was asked for and not done, in words.
        obeyed: no duty was done because the customer said so.
        able: whether to say what no tool can do.
    """
    message = turn.message.replace("’", "'")
    asked = [call for call in turn.calls if call.name not in duties]
    results = [call for call in asked if '{"assistant":' not in (call.output or "")]
    asks_back = remembers(message)
    parts = [_greeting(turn, message), *([_memory(turn, message)] if asks_back else [])]
    parts += dict.fromkeys(_result(call) for call in results)
    if undone:
        parts.append(f"I have not done this yet: {', '.join(undone)}.")
    elif able and not asks_back:
        parts.append(_unable(turn, message, skills, results))
    if SILENCE.search(message):
        parts.append(
            "As you ask, I called no tool to record this."
            if obeyed
            else "What the shop records is not mine to decide, so I cannot promise that."
        )
    if any(parts[1:]):
        return " ".join([part for part in parts if part] + ([_CLOSING] if results else []))
    return _small_talk(turn, message, parts[0], skills, duties)


def proposal(schema: dict[str, Any], turn: Turn, skills: list[Skill], duties: set[str], **how: Any) -> str:
    """The agent's typed output, as JSON: its reply, and what it proposes that the shop's code should do."""
    action = _ACTIONS.search(turn.message)
    field = next((n for n in schema.get("properties", {}) if action and action[1].lower() in n.lower()), None)
    value = fill(schema, "", facts_of(turn, turn.message, output=True))
    said = reply(turn, skills, duties, able=field is None, **how)
    if field and isinstance(value, dict):
        said = said.replace(_CLOSING, "").strip() if turn.calls else _greeting(turn, turn.message)
        proposed = value.get(field)
        if isinstance(proposed, dict):
            order, amount = proposed.get("order_id", ""), proposed.get("amount_cents")
            of = f" of {amount / 100:.2f}" if isinstance(amount, int) else ""
            said += f" I propose a {field}{of} for order {order}; the shop checks it before anything happens."
        elif not proposed:
            said += f" To propose a {field}, I need the order's number and what it cost."
    value = fill(schema, "", facts_of(turn, turn.message, said.strip(), output=True))
    return json.dumps(value, ensure_ascii=False)


def _greeting(turn: Turn, message: str) -> str:
    """Hello, and a kind word, where the message calls for them."""
    name = known("name", turn.notes, *turn.earlier, turn.message)
    hello = re.match(r"\W*(hello|hi|hey|good (morning|afternoon|evening)|dear)\b", message, re.I)
    said = [f"Hello {clean(name, 40)}!" if name else "Hello!"] if hello else []
    if has("broken|damaged|dead|died|dying|wilted|disappointed|angry|terrible|too late", message):
        said.append("I am sorry to hear that.")
    return " ".join(said)


def _memory(turn: Turn, message: str) -> str:
    """From the conversation that was handed in, and nothing else."""
    if my := _MY.search(message.strip()) or re.search(r"\bwho am (i)\b", message, re.I):
        what = "name" if my[1].lower() == "i" else my[1].strip()
        value = known(what, turn.instructions, turn.notes, *turn.earlier)
        if value:
            return f"Your {what} is {clean(value, 80)}."
        if told := said_about(what, turn.notes, *turn.earlier):
            return f"You told me: “{clean(told, 300)}”"
        more = "" if turn.earlier or turn.notes else ", and nothing before this message was given to me"
        return f"You have not told me your {what}{more}."
    if not turn.earlier and not turn.notes:
        return "I have only this one message from you: nothing before it was given to me."
    if about := _ABOUT.search(message):
        told = said_about(about[1], turn.notes, *turn.earlier)
        if told:
            return f"You told me: “{clean(told, 300)}”"
        return f"I know of nothing that you told me about your {about[1]}."
    for what, find in (("order", orders), ("plant", plants)):
        if re.search(rf"\b(which|what) {what}", message, re.I):
            texts = [turn.notes, *turn.earlier]
            found = list(dict.fromkeys(one for text in texts for one in find(text)))
            if not found:
                return f"You have not named {what}s so far."
            return f"You asked about {what + 's' if len(found) > 1 else what} {' and '.join(found)}."
    nth = has(r"(?:turn|message|question)\s+(\d+)|(first|second|third|fourth|fifth)", message)
    if turn.notes and (nth or not turn.earlier):
        return f"I have only notes of what you wrote first: {clean(turn.notes, 1000)}"
    index = (int(nth[1]) - 1 if nth[1] else _NTH[nth[2].lower()]) if nth else len(turn.earlier) - 1
    if not 0 <= index < len(turn.earlier):
        return f"I was given {len(turn.earlier)} earlier messages of yours, and that one is not among them."
    which = f"Your message {index + 1} was" if index else "Your first message was"
    return f"{which if nth else 'Before this you wrote'}: “{clean(turn.earlier[index], 300)}”"


def in_words(name: str, arguments: str) -> str:
    """A call in words: look up order 1042."""
    what = " ".join(orders(arguments.replace('"', " ")) + plants(arguments))
    return f"{name.replace('_', ' ')} {what}".strip()


def _result(call: Call) -> str:
    """What a tool returned, as a sentence: sentences as they are, values with the tool's name."""
    if call.output is None:
        return ""
    text = call.output.strip()
    if text.startswith("An error occurred while running the tool"):
        return f"I am sorry: “{in_words(call.name, call.arguments)}” did not work. Please try again later."
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, str):
            text = value.strip()
        elif isinstance(value, dict):
            text = ", ".join(f"{str(k).replace('_', ' ')}: {v}" for k, v in value.items())
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            text = f"{in_words(call.name, call.arguments).capitalize()}: {text}"
        break
    text = clean(text, 1500) or f"{in_words(call.name, call.arguments).capitalize()} returned nothing"
    return text if re.search(r"[.!?:”)]$", text) else text + "."


def _unable(turn: Turn, message: str, skills: list[Skill], results: list[Call]) -> str:
    """What was asked for and could not be done, and what is missing."""
    words, used = set(stems(message)), {call.name for call in results}
    refused = SILENCE.search(message) or has("don't|do not", message)
    if not refused and (action := _ACTIONS.search(message)):
        do = action[1].lower()
        able = [skill for skill in skills if set(stems(do)) & skill.keys]
        if not able:
            if "colleague" in turn.instructions:
                return f"I cannot {do} an order myself: a colleague will decide about it."
            return f"I have no tool that could {do} an order{', so nothing was changed' if results else ''}."
        if used & {skill.name for skill in able}:
            return ""
        if not orders(message) and not results:
            return f"Which order is it? With its number, four digits, I can {do} it."
        no_amount = "money" in able[0].needs.values()
        return "I found no amount for it, so nothing was paid back." if no_amount else ""
    if results:
        return ""
    mine = has("my|mine|where|when|i", message)
    if orders(message) or (mine and words & {"order", "deliver"}):
        if not any(skill.reads("order") for skill in skills):
            return "I have no tool that could look up an order here." if orders(message) else ""
        return "" if orders(message) else "Which order is it? Its number has four digits, like 1042."
    about_plants = plants(message) or "plant" in words
    if "stock" in words or (about_plants and has("have|sell|got|buy", message)):
        if any(skill.reads("plant") for skill in skills):
            return "" if plants(message) else "Which plant would you like me to check?"
        return "I have no tool that could check the stock here."
    return ""


def _small_talk(turn: Turn, message: str, greeting: str, skills: list[Skill], duties: set[str]) -> str:
    says = partial(has, text=message)
    tools = [s.name for s in skills if s.name not in duties and not s.handoff]
    able = [_PLAINLY[name] for name in tools if name in _PLAINLY]
    able += ["pass you on to a colleague"] if any(skill.handoff for skill in skills) else []
    other = ", ".join(name.replace("_", " ") for name in tools if name not in _PLAINLY)
    able += [f"use my tools ({other})"] if other else []
    listed = " and ".join(filter(None, [", ".join(able[:-1]), *able[-1:]]))
    can = f"I can {listed}" if able else "I have no tools here, but I can chat about plants"
    care = next((CARE[name] for name in plants(message) if name in CARE), None)
    name = known("name", message)
    if not message.strip():
        return f"Your message is empty. {can}. What do you need?"
    if care and says(r"water\w*|light|care|look after|keep|often|grow\w*|place|about|sun|leaves"):
        return f"{greeting} {plants(message)[0]}: {care}.".strip()
    if says(r"who are you|what are you|are you (?:a |an )?(?:human|robot|bot|real|ai)|what can you do|help"):
        return f"{greeting} {WHAT_I_AM} {can}.".strip()
    if says(r"thanks?|thank you|cheers|danke|merci"):
        return "You are very welcome. May your plants thrive!"
    if says(r"bye|goodbye|see you|that(?:'s| is) all"):
        return "Goodbye, and enjoy your plants!"
    if greeting.endswith("sorry to hear that."):
        return f"{greeting} Tell me the order's number, and I will see what I can do."
    if re.fullmatch(r"\W*(ok|okay|yes|no|sure|fine|great|good|perfect|right|nothing)\W*", message, re.I):
        return f"All right. {_CLOSING}"
    if name:
        return f"Nice to meet you, {clean(name, 40)}! How can I help you and your plants today?"
    if says(r"my \w+(?: name)? is"):
        return f"{greeting} Thank you for telling me. How can I help?".strip()
    if says(r"how are you"):
        return f"{greeting} I am well, thank you, as rules always are. How can I help you?".strip()
    if greeting and len(stems(message)) < 3:
        return f"{greeting} Welcome to Juniper. {can}. How can I help you?"
    if says(r"joke|poem|haiku"):
        return "A small green leaf turns, / slowly, to where the light is: / water me, it says."
    return f"{greeting} {WHAT_I_AM} I did not understand that. {can}. Try “Where is order 1042?”".strip()
