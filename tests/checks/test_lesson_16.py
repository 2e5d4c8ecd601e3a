"""Answers to exercise 16, and what its check says to each."""

from tests.checks.answers import *


def rolled_out(*lines: str) -> Change:
    """The solution, with another `roll_out`."""
    body = "".join(f"    {line}\n" for line in lines)
    return lambda code: code.partition("async def roll_out")[0] + f"async def roll_out(shop):\n{body}"


START, CURRENT, DRAINED, STOP = (
    'await shop.start("2", NextDesk)',
    'await shop.make_current("2")',
    'await shop.drained("1")',
    'await shop.stop("1")',
)
WAKE = ('for handle in await shop.open("1"):', '    await handle.signal("wake")')
BY_HAND = """
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import VersioningBehavior
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionOptionsRequest
from google.protobuf.field_mask_pb2 import FieldMask


async def move(shop):
    for handle in await shop.open("1"):
        await shop.client.workflow_service.update_workflow_execution_options(
            UpdateWorkflowExecutionOptionsRequest(
                namespace=shop.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=handle.id),
                workflow_execution_options=WorkflowExecutionOptions(
                    versioning_override=VersioningOverride(auto_upgrade=True)
                ),
                update_mask=FieldMask(paths=["versioning_override"]),
            )
        )

"""


def by_hand(code: str) -> str:
    """Moves every run in the middle of its life, by an operator's hand."""
    moves = rolled_out(START, CURRENT, "await move(shop)", *WAKE, DRAINED, STOP)(code)
    return moves.replace("async def roll_out", BY_HAND + "\nasync def roll_out")


STARTER = "Ben, whose model call was under way, got no reply. The run is pinned to version 1"

WRONG = {
    "stops version 1 at once": (
        "no worker of that version is there any more. It is needed until the version is drained",
        rolled_out(START, CURRENT, *WAKE, STOP),
    ),
    "wakes nobody": (
        "Version 1 is not drained after 10 seconds: ada is still pinned to it",
        rolled_out(START, CURRENT, DRAINED, STOP),
    ),
    "wakes too early": (
        "the signal `wake` makes one, once another version is current",
        rolled_out(START, *WAKE, CURRENT, DRAINED, STOP),
    ),
    "never current": (
        "roll_out has returned, and version 1 is still the current one",
        rolled_out(START),
    ),
    "drained before another is current": (
        "Version 1 is not drained: it is still the current one",
        rolled_out(START, DRAINED, CURRENT, STOP),
    ),
    "current before it is there": (
        "make_current('2') was refused: no worker of this version has been started",
        rolled_out(CURRENT, START, *WAKE, DRAINED, STOP),
    ),
    "never stops version 1": (
        "a worker of version 1 still runs",
        rolled_out(START, CURRENT, *WAKE, DRAINED),
    ),
    "new code under the old build id": (
        "Ben's conversation is frozen: your new code was handed a run that version 1 had begun",
        rolled_out(STOP, 'await shop.start("1", NextDesk)'),
    ),
    "moved in the middle of a run": ("and its history does not fit. A run stays with the code", by_hand),
    "continues as new and stays": (
        "It continued as new, and began on the same version again",
        (", initial_versioning_behavior=UPGRADE", ""),
    ),
    "never looks for the next version": (
        "Its run did not end. NextDesk has to look",
        ("workflow.info().is_target_worker_deployment_version_changed()", "False"),
    ),
    "terminates who is idle": (
        "Ada's conversation has ended (terminated)",
        (
            'await handle.signal("wake")',
            'await (handle.terminate() if "ada" in handle.id else handle.signal("wake"))',
        ),
    ),
    "without the step": (
        "ran process_batch 0 times",
        instead("self.learn_from(text)"),
    ),
    "without a memory": (
        "the memory is lost",
        ("self.carry()]", "Carried(self.turns, [])]"),
    ),
    "another workflow": (
        "To Temporal your class is called NextDesk",
        ('@workflow.defn(name="ShippedWorkflow")', "@workflow.defn"),
    ),
    "a plain function": (
        "roll_out is a plain function",
        lambda code: code.partition("async def roll_out")[0] + "def roll_out(shop): ...",
    ),
    "waits for ever": (
        "roll_out had not returned",
        rolled_out(START, "import asyncio", "await asyncio.Event().wait()"),
    ),
}

RAISES = {"its own error": ("KeyError: 'version'", rolled_out('raise KeyError("version")'))}

RIGHT = {
    "asks again and again": (
        rolled_out(START, CURRENT, "while await shop.open('1'):", *(f"    {line}" for line in WAKE), STOP),
    ),
    "the step first": (
        instead("self.learn_from(text)"),
        before("answer = await self.answer(text)", "self.learn_from(text)"),
    ),
    "upgraded in the middle, and patched": (
        (
            'name="ShippedWorkflow"',
            'name="ShippedWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE',
        ),
        (
            "from temporalio import workflow\n",
            "from temporalio import workflow\nfrom temporalio.common import VersioningBehavior\n",
        ),
        instead(
            "self.learn_from(text)",
            'if workflow.patched(f"learn/{self.turns}"):',
            "    self.learn_from(text)",
        ),
        by_hand,
    ),
}

SAMPLE = {"continues as new and stays", "new code under the old build id"}
