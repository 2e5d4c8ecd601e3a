import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from agents import Agent, Runner
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.openai_agents import OpenAIAgentsPlugin
from temporalio.openai_agents.workflow import activity_as_tool
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():  # the sandbox need not import it again
    from course.models import model_provider

os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"

LIMIT = timedelta(seconds=10)
DAYS = {"Austria": 2, "Portugal": 5}


@activity.defn
def delivery_time(country: str) -> str:
    """How many days a parcel takes to a country."""
    return f"{country}: {DAYS[country]} days" if country in DAYS else f"{country}: ask us by phone"


@activity.defn
def write_down(customer: str, text: str) -> None:
    """Keeps what a customer wrote, on a line of its own."""
    with Path(__file__).with_name("lesson_01b.messages.txt").open("a") as file:
        file.write(f"{customer}: {text}\n")


@workflow.defn
class MyAgent:
    @workflow.init
    def __init__(self, customer: str) -> None:
        self.customer = customer
        self.agent = Agent(
            name="Parcels",
            instructions="You tell customers when their parcels come.",
            tools=[activity_as_tool(delivery_time, start_to_close_timeout=LIMIT)],
        )
        self.memory, self.turn, self.closing = [], asyncio.Lock(), False

    @workflow.run
    async def run(self, customer: str) -> None:
        await workflow.wait_condition(lambda: self.closing and workflow.all_handlers_finished())

    @workflow.update
    async def send(self, text: str) -> str:
        async with self.turn:
            await workflow.execute_activity(
                write_down, args=[self.customer, text], start_to_close_timeout=LIMIT
            )
            message = {"role": "user", "content": text}
            result = await Runner.run(self.agent, [*self.memory, message])
            self.memory = result.to_input_list()
            return str(result.final_output)

    @workflow.signal
    def close(self) -> None:
        self.closing = True


async def main() -> None:
    _, provider = model_provider(os.environ.get("MODEL"))
    client = await Client.connect(
        os.environ.get("TEMPORAL_ADDRESS", "localhost:7233"),
        plugins=[OpenAIAgentsPlugin(model_provider=provider)],
    )
    worker = Worker(
        client,
        task_queue="my-agent",
        workflows=[MyAgent],
        activities=[delivery_time, write_down],
        activity_executor=ThreadPoolExecutor(),
        graceful_shutdown_timeout=timedelta(seconds=10),
    )
    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    async with worker:
        print("Serving my-agent.", flush=True)
        await end.wait()


if __name__ == "__main__":
    asyncio.run(main())
    os._exit(0)  # a thread of Temporal's may still be on its way back, and would abort Python's own end
