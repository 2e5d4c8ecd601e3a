"""Answers to exercise 01b, and what its check says to each."""

import socket

from course.checks.lesson_01b import Listener
from tests.checks.answers import *

ACTIVITIES = "activities=[delivery_time, write_down]"
EXECUTOR = "        activity_executor=ThreadPoolExecutor(),\n"
TOOL = "activity_as_tool(delivery_time, start_to_close_timeout=LIMIT)"
STEP = """            await workflow.execute_activity(
                write_down, args=[self.customer, text], start_to_close_timeout=LIMIT
            )
"""
TRACING = 'os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"\n'
PROVIDER = '    _, provider = model_provider(os.environ.get("MODEL"))\n'
HANDLED = "        asyncio.get_running_loop().add_signal_handler(number, end.set)\n"
ANSWER = 'return f"{country}: {DAYS[country]} days" if country in DAYS else f"{country}: ask us by phone"'
INDENTED = "".join(f"    {line}\n" for line in STEP.splitlines())

STARTER = "ended before it served anybody. Its last line: “NotImplementedError: TODO: a worker for the queue my-agent"

WRONG = {
    "ends at its start": (
        "Its last line: “RuntimeError: Failed client connect",
        ('os.environ.get("TEMPORAL_ADDRESS", "localhost:7233")', '"localhost:1"'),
    ),
    "ends without a word": (
        "ended before it served anybody, without a word (exit code 0)",
        ("    asyncio.run(main())\n", "    main\n"),
    ),
    "no activity registered": (
        "Your worker does not know it: put write_down into",
        (ACTIVITIES, "activities=[]"),
    ),
    "the tool not registered": (
        "Your worker does not know it: put delivery_time into",
        (ACTIVITIES, "activities=[write_down]"),
    ),
    "no executor": (
        "delivery_time is an ordinary function, and the worker has no threads",
        (EXECUTOR, ""),
    ),
    "another queue": ("nobody polls the queue my-agent", ('task_queue="my-agent"', 'task_queue="my_agent"')),
    "a model for a provider": (
        "invoke_model_activity fails and is tried again, and again. The plugin's model_provider= is not a provider",
        (PROVIDER, "    provider, _ = model_provider(None)\n"),
    ),
    "another model than the one that was named": (
        "the model that the environment names was not asked",
        ('model_provider(os.environ.get("MODEL"))', "model_provider(None)"),
    ),
    "tracing on, and Python's own end": (
        "Your worker sent something to api.openai.com: the Agents SDK's record",
        (TRACING, ""),
        ("    os._exit(0)", "    pass"),
    ),
    "tracing on": ("sent something to api.openai.com: the", (TRACING, "")),
    "the tool not offered": ("The model was offered no tool", (f"tools=[{TOOL}]", "tools=[]")),
    "a tool that leaves no record": (
        "The model called delivery_time, and no activity ran for it",
        ("from agents import Agent, Runner\n", "from agents import Agent, Runner, function_tool\n"),
        ("@activity.defn\ndef delivery_time", "@function_tool\nasync def delivery_time"),
        (TOOL, "delivery_time"),
        (ACTIVITIES, "activities=[write_down]"),
    ),
    "a tool that does not take what a model sends": (
        "Its error is KeyError: … A model may send any argument",
        (ANSWER, 'return f"{country}: {DAYS[country]} days"'),
    ),
    "no step": ("There is no step: besides the model's calls and delivery_time", (STEP, "")),
    "a step in the first turn alone": (
        "write_down did not run in turn 2 (“Please look it up",
        (STEP, f"            if not self.memory:\n{INDENTED}"),
    ),
    "a step only with the tool": (
        "write_down did not run in turn 1 (“Good morning!”)",
        (STEP, ""),
        (
            "            self.memory = result.to_input_list()\n",
            f'            if "look" in text:\n{INDENTED}            self.memory = result.to_input_list()\n',
        ),
    ),
    "a step that the agent decides on": (
        "delivery_time and write_down ran because the model asked for them",
        (STEP, ""),
        (f"tools=[{TOOL}]", f"tools=[{TOOL}, {TOOL.replace('delivery_time', 'write_down')}]"),
        ("when their parcels come.", "when their parcels come. Always call write_down."),
    ),
    "ended by SIGTERM on the spot": ("SIGTERM ended your worker on the spot", (HANDLED, "        pass\n")),
    "deaf to SIGTERM": (
        "Your worker got SIGTERM, and went on",
        (HANDLED, "        signal.signal(number, signal.SIG_IGN)\n"),
    ),
    "ends badly": (
        "ended with exit code 3, and not with 0",
        ("        await end.wait()\n", "        await end.wait()\n        raise SystemExit(3)\n"),
    ),
    "nothing ends the conversation": (
        "The conversation was closed and does not end",
        ("        self.closing = True\n", "        pass\n"),
    ),
}

RAISES = {
    "a syntax error": (
        "Your code has a syntax error in line",
        ("async def main() -> None:", "async def main()"),
    ),
    "a slip in the workflow": (
        "Your code raised: NameError: name 'txt' is not defined",
        ('"content": text}', '"content": txt}'),
    ),
}

LEAVING = "    os._exit(0)  # a thread of Temporal's may still be on its way back, and would abort Python's own end\n"

RIGHT = {
    "Python's own end": ("ended the worker in order", (LEAVING, "")),
    "an abort at Python's end": ("ended the worker in order", (LEAVING, "    os.abort()\n")),
    "traces that go nowhere": (
        "nothing left the machine",
        (TRACING, "set_trace_processors([])\n"),
        ("from agents import Agent, Runner\n", "from agents import Agent, Runner, set_trace_processors\n"),
    ),
    "async activities, and no executor": (
        "write_down ran in every turn",
        ("@activity.defn\ndef ", "@activity.defn\nasync def "),
        (EXECUTOR, ""),
    ),
    "tracing off at the very top, by the SDK's own switch": (
        "nothing left the machine",
        (TRACING, ""),
        (
            "async def main() -> None:\n",
            "async def main() -> None:\n    from course.models import keep_traces_here\n\n    keep_traces_here()\n",
        ),
    ),
    "the step after the agent": (
        "write_down ran in every turn",
        (STEP, ""),
        (
            "            return str(result.final_output)\n",
            f"{STEP}            return str(result.final_output)\n",
        ),
    ),
    "a function tool that runs an activity": (
        "The model asked for delivery_time",
        ("from agents import Agent, Runner\n", "from agents import Agent, Runner, function_tool\n"),
        (
            "@workflow.defn\n",
            "@function_tool\nasync def ask(country: str) -> str:\n"
            '    """How many days a parcel takes."""\n'
            "    return await workflow.execute_activity(\n"
            "        delivery_time, country, start_to_close_timeout=LIMIT\n    )\n\n\n@workflow.defn\n",
        ),
        (TOOL, "ask"),
    ),
    "another name for everything": (
        "The model asked for price; remember ran in every turn",
        ("delivery_time", "price"),
        ("write_down", "remember"),
    ),
}

SAMPLE = {"no activity registered", "a step that the agent decides on", "ended by SIGTERM on the spot"}


def test_who_was_called_is_heard() -> None:
    """What a program sends past a proxy names the machine; what does not is another one."""
    listener = Listener()
    address = ("127.0.0.1", int(listener.url.rpartition(":")[2]))
    for sent in (
        b"CONNECT api.openai.com:443 HTTP/1.1\r\n\r\n",
        b"POST http://there.example/v1 HTTP/1.1\r\n\r\n",
        b"\x16\x03",
    ):
        with socket.create_connection(address) as one:
            one.sendall(sent)
            one.recv(1)
    listener.close()
    assert listener.heard == {"api.openai.com", "there.example", "another machine"}
