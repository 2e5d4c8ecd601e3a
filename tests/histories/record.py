"""Record the tests' histories anew: `make histories`, or `python -m tests.histories.record [name ...]`.

Each workflow is played on a real Temporal server with the OpenAI Agents plugin and a scripted model, and
written to `recorded/<name>.json`.
"""

import asyncio
import os
import re
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agents import set_trace_processors
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec
from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin, StatelessMCPServerProvider
from temporalio.openai_agents.testing import TestModelProvider
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from tests.histories import lives, workflows
from tests.histories.conversation import SHORT, UntilClosed
from tests.histories.elsewhere.mcp_desk import garden
from tests.histories.model import ScriptedModel
from tests.histories.playing import IDENTITY, SERVER, record

RECORDED = Path(__file__).parent / "recorded"


class Sealed(PayloadCodec):
    """Payloads that nobody else can read. (Compression will do: without the codec they are bytes.)"""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"binary/sealed"}, data=zlib.compress(p.SerializeToString()))
            for p in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(zlib.decompress(p.data))
            if p.metadata.get("encoding") == b"binary/sealed"
            else p
            for p in payloads
        ]


@dataclass
class Scenario:
    code: type[UntilClosed]
    about: str = ""
    tracing: bool = False
    model: dict[str, Any] = field(default_factory=dict)
    codec: PayloadCodec | None = None


SCENARIOS = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): Scenario(code)
    for module in (workflows, lives)
    for name, code in vars(module).items()
    if isinstance(code, type) and issubclass(code, UntilClosed) and code.__module__ == module.__name__
}
SCENARIOS["streaming"].model["streaming_topic"] = "answers"
BOTH = workflows.BothHands.__doc__
SCENARIOS |= {
    "both_hands_traced": Scenario(workflows.BothHands, f"{BOTH} Tracing is on.", tracing=True),
    "in_one_trace_traced": Scenario(workflows.InOneTrace, "As in_one_trace; tracing is on.", tracing=True),
    "local_model": Scenario(
        workflows.LocalActivities,
        "Local activities, the model's calls among them.",
        model={"use_local_activity": True},
    ),
    "sealed": Scenario(workflows.BothHands, "Payloads that cannot be decoded.", codec=Sealed()),
}


async def play(environment: WorkflowEnvironment, name: str) -> None:
    """Records one scenario, with the plugin set up as it asks."""
    scene = SCENARIOS[name]
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "0" if scene.tracing else "1"
    plugin = OpenAIAgentsPlugin(
        model_params=ModelActivityParameters(start_to_close_timeout=SHORT, **scene.model),
        model_provider=TestModelProvider(ScriptedModel()),
        mcp_server_providers=[StatelessMCPServerProvider("plants", garden)],
    )
    converter = replace(environment.client.data_converter, payload_codec=scene.codec)
    path = RECORDED / f"{name}.json"
    await record(environment, path, scene.code, plugin, scene.about, data_converter=converter)


async def main(names: list[str]) -> None:
    if unknown := set(names) - set(SCENARIOS):
        sys.exit(f"No scenario is called {', '.join(sorted(unknown))}. There are: {', '.join(SCENARIOS)}.")
    set_trace_processors([])  # tracing on means recorded ids here, never an export
    settings = ("frontend.WorkflowTimeSkippingEnabled=true", 'history.timerProcessorMaxTimeShift="10ms"')
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        identity=IDENTITY,
        dev_server_existing_path=SERVER,
        dev_server_log_level="error",
        dev_server_extra_args=[arg for value in settings for arg in ("--dynamic-config-value", value)],
    ) as environment:
        for name in names or SCENARIOS:
            await play(environment, name)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
