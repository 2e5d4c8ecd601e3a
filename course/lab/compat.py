"""The private names of other libraries that the course cannot do without, each with its reason.

A new version may take one away without a word in its changelog. `tests/test_compat.py` asks for each by its name
and says which version no longer has it; nothing else in the course uses a private name.
"""

import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing import forkserver
from typing import Any

from temporalio import activity, workflow
from temporalio.client import WorkflowHandle
from temporalio.openai_agents._invoke_model_activity import ActivityModelInput
from temporalio.testing import TimeSkipper, TimeSkippingConfig
from temporalio.worker import _worker

NAMES = {
    "temporalio.workflow:_Definition.from_class": "the public API has no way to ask a class for its handlers",
    "temporalio.activity:_Definition.from_callable": "nor a function for the name of its activity",
    "temporalio.openai_agents._invoke_model_activity:ActivityModelInput": "what takes long to read for the first time",
    "temporalio.testing:TimeSkipper._update_time_skipping_config": "to hold a clock whose move was withdrawn",
    "temporalio.worker._workflow_instance:logger.name": "the logger whose tracebacks would fill a cell",
    "temporalio.worker._worker:_default_build_id": "a hash of all code, which every process would make, for a second",
    "threading:_register_atexit": "atexit itself comes too late: executors take no more work by then",
    "multiprocessing.forkserver:_forkserver.ensure_running": "a forked process that forks would start a second fork server",
    "multiprocessing.spawn:_main._inheriting": "whether a process reads its parent's script again",
}
"""Module and name, with a colon between. A name behind a function is one that the function sets on its object."""

MODEL_CALL: Any = ActivityModelInput
"""The type of a model call's recorded input."""

WORKFLOW_LOGGER = "temporalio.worker._workflow_instance"


def workflow_definition(code: Any) -> Any:
    """What Temporal knows of a workflow class (`name`, `updates`, `signals`, `ret_type`); None for anything else."""
    return workflow._Definition.from_class(code) if isinstance(code, type) else None


def activity_definition(code: Any) -> Any:
    """What Temporal knows of an activity (`name`, `fn`); None for anything else."""
    return activity._Definition.from_callable(code) if callable(code) else None


async def hold_clock(
    skipper: TimeSkipper, handle: WorkflowHandle[Any, Any], config: TimeSkippingConfig
) -> None:
    await skipper._update_time_skipping_config(handle, config)


def name_all_code(build_id: str) -> None:
    """Gives workers without a build id this one, in this process and those that it forks."""
    _worker._default_build_id = build_id


def before_threads_end(callback: Callable[[], None]) -> None:
    """Calls back when Python ends, while threads can still be used."""
    threading._register_atexit(callback)  # type: ignore[attr-defined]


def share_the_fork_server() -> None:
    """In a forked process: what it forks comes from where it came from itself, and need not import everything again."""
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]


def reads_its_parents_script() -> bool:
    """Whether this process has been started by another one and is only importing that one's script."""
    return getattr(multiprocessing.current_process(), "_inheriting", False)
