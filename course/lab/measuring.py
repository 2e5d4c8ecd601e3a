"""What lessons 04 and 05 count of many conversations: who was answered, what was saved, and what it cost."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pandas as pd
from temporalio.client import Client
from temporalio.openai_agents import ModelActivityParameters
from temporalio.service import RetryConfig, RPCError

from course.desk import ConversationWorkflow
from course.history.picture import Picture
from course.lab.chat import Conversation
from course.lab.lab import Lab
from course.models import Mistakes, ModelEndpoint

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


async def twelve_messages(lab: Lab, workflow: type) -> list[Conversation]:
    """Three customers write four messages each, and wait for no reply. Returns their conversations."""
    chats = [await lab.converse(workflow, name) for name in ("ada", "ben", "cleo")]
    for chat in chats:
        for text in ("Hello!", "How are you?", "Tell me a joke.", "Thanks!"):
            chat.begin(text)
    return chats


async def side_by_side(desks: dict[str, list[Conversation]]) -> pd.DataFrame:
    """For each customer of each desk: model calls, saves and notices that have completed, and replies that were given."""
    return pd.concat({name: await _how_far(chats) for name, chats in desks.items()}, axis="columns")


async def _how_far(chats: Sequence[Conversation]) -> pd.DataFrame:
    rows = {}
    for chat in chats:
        record, events = await chat.activities(), await chat.events()
        done = record[record.status == "completed"].activity.value_counts()
        steps = ["invoke_model_activity", SAVE, "send_notification"]
        replies = (events.event == "WorkflowExecutionUpdateCompleted").sum()
        rows[chat.id.partition("-")[0]] = [*(done.get(step, 0) for step in steps), replies]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["model", "saved", "told", "replies"])


async def one_more(lab: Lab, chat: Conversation) -> str:
    """Sends one more message, by a client that does not try again. Returns the reply, or what the server says."""
    client = await Client.connect(lab.address, retry_config=RetryConfig(max_retries=1))
    try:
        return await client.get_workflow_handle(chat.id).execute_update("send", "One more?")
    except RPCError as error:
        return f"{error.status.name}: {error}"


async def one_message(provider: ModelEndpoint, model_calls: ModelActivityParameters) -> pd.DataFrame:
    """One message, in a lab of its own, to the model of this provider under this policy.

    Prints the reply that the customer gets, at most two (virtual) minutes later. Returns the row of the model call.
    """
    async with await Lab.start(model=provider.client(), model_calls=model_calls, ui=False) as lab:
        gus = await lab.converse(ConversationWorkflow, "gus")
        reply = gus.begin("Hello!")
        await gus.fast_forward(timedelta(minutes=2))
        print(await reply)
        return (await gus.activities()).head(1)


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
