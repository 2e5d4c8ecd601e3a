"""What the process that forks all others has imported and done beforehand. Nobody else imports this."""

import gc
import signal

gc.disable()  # what is imported here stays
signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt of the kernel is not for its helper

import asyncio
import tempfile
from pathlib import Path

import httpx2
import sqlalchemy.dialects.sqlite
from agents import ModelSettings, ModelTracing, OpenAIProvider
from openai import AsyncOpenAI

from course.desk.services.report import write_report
from course.lab import compat
from course.lab.everything import workflows
from course.lab.running import PAYLOADS, Sandbox, lab_plugin
from course.models import OfflineModel
from course.models.wire import as_response

__all__ = ["sqlalchemy"]


async def ask_once() -> None:
    """One model call over HTTP, without a network. The first one of a process builds types for a third of a second.

    A worker that is forked from here would be silent for so long, and on a busy machine be taken for dead.
    """
    question = (None, "Thanks!", ModelSettings(), [], None, [], ModelTracing.DISABLED)
    more = {"previous_response_id": None, "conversation_id": None, "prompt": None}
    answer = as_response(await OfflineModel().get_response(*question, **more), "offline-model")
    reply = answer.model_dump(mode="json", exclude_none=True)
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=reply))
    async with httpx2.AsyncClient(transport=transport) as http:
        client = AsyncOpenAI(api_key="none", base_url="http://model/v1", http_client=http)
        model = OpenAIProvider(openai_client=client, use_responses=True).get_model("offline-model")
        await model.get_response(*question, **more)


def read_a_model_call() -> None:
    """As a worker reads it that runs the model's activity."""
    call = {"input": "Thanks!", "model_settings": {}, "tracing": 0}
    read = PAYLOADS.payload_converter
    read.from_payloads(read.to_payloads([call]), [compat.MODEL_CALL])


def draw_once() -> None:
    """A report's figure. The first one of a process imports Matplotlib, and looks for its fonts."""
    with tempfile.TemporaryDirectory() as folder:
        write_report(Path(folder), "first", {"turns": [{"message": "Thanks!", "answer": "Bye!"}]})


async def try_workflows() -> None:
    """Otherwise every worker that is forked from here tries them all, for half a second."""
    sandbox = lab_plugin(OpenAIProvider(api_key="none")).workflow_runner(Sandbox())
    for each in workflows():
        sandbox.prepare_workflow(compat.workflow_definition(each))


compat.name_all_code("course")
asyncio.run(ask_once())
read_a_model_call()
draw_once()
asyncio.run(try_workflows())
gc.collect()
gc.freeze()  # what is here by now, no process that is forked from here looks through, or copies, again
gc.enable()
