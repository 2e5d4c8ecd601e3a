"""What a lesson counts when it makes a model worse: who was answered, what was saved, and what it cost."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pandas as pd

from course.history.picture import Picture
from course.lab.chat import Conversation
from course.lab.lab import Lab
from course.models import Mistakes

SAVE = "save_to_database"


async def talk(lab: Lab, workflow: type, customer: str, messages: Sequence[str]) -> Conversation:
    """Starts a conversation, sends the messages one after another, and returns the conversation."""
    chat = await lab.converse(workflow, customer)
    for message in messages:
        await chat.send(message)
    return chat


async def saves_of(lab: Lab, chat: Conversation) -> dict[str, int]:
    """How often a save was asked for, how many rows there are, and how many of them hold a reply that was really given."""
    record, said, rows = await chat.activities(), await chat.transcript(), lab.table("turns")
    answers = rows[rows.conversation == chat.id].answer
    asked = (record.activity == SAVE).sum()
    return {"asked": asked, "rows": len(answers), "true": answers.isin(said.text).sum()}


async def saves_with(lab: Lab, workflow: type, mistake: str, messages: Sequence[str]) -> dict[str, int]:
    """`saves_of` a conversation whose model makes this mistake wherever it can; "none" is a model without one."""
    with _model_that(lab, Mistakes(**({} if mistake == "none" else {mistake: 1}))):
        return await saves_of(lab, await talk(lab, workflow, "ada", messages))


async def saved_of_twelve(lab: Lab, workflow: type, forget: float) -> int:
    """How many of twelve messages are saved, by a model that forgets this share of its tool calls.

    Three customers write four messages each, at the same time.
    """
    before = len(lab.table("turns"))
    plants = ["Monstera", "Ficus", "Aloe"]
    with _model_that(lab, Mistakes(forget=forget)):
        await asyncio.gather(*(talk(lab, workflow, f"{plant} {forget}", _care(plant)) for plant in plants))
    return len(lab.table("turns")) - before


async def cost_of(chat: Conversation) -> pd.DataFrame:
    """Model calls and tokens of each turn, as the model reported them and the history keeps them."""
    record = await chat.activities(times=True)
    calls = record[record.activity == "invoke_model_activity"]
    tokens = calls.result.map(lambda answer: answer["usage"]["total_tokens"]).groupby(calls.turn)
    return pd.DataFrame({"model calls": tokens.size(), "tokens": tokens.sum()})


def drawn(sweep: pd.DataFrame) -> Picture:
    """Messages saved, of twelve, by the share of tool calls that the model forgets: one line a column."""
    figure = Picture(figsize=(7, 3), layout="constrained")
    figure.description = f"Messages saved of 12, by the share of tool calls forgotten:\n{sweep}"
    axes = sweep.plot(
        ax=figure.add_subplot(), style=["o-", "s--"], color=["#b3541e", "#3b6e4f"], ylim=(0, 13)
    )
    axes.set(title="Messages saved, while the model forgets more and more", ylabel="messages saved of 12")
    axes.set(xlabel="share of tool calls that the model forgets")
    return figure


@contextmanager
def _model_that(lab: Lab, mistakes: Mistakes) -> Iterator[None]:
    before, lab.model.mistakes = lab.model.mistakes, mistakes
    try:
        yield
    finally:
        lab.model.mistakes = before


def _care(plant: str) -> list[str]:
    light = f"How much light does a {plant} need?"
    return [light, f"How often do I water a {plant}?", f"Where do I place a {plant}?", "Thanks!"]
