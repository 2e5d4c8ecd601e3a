"""Versions of the code, each with a worker process of its own: what a lab can do with them, and what its server says of them.

A deployment is the name that versions have in common; a lab's is its task queue. `lab.deploy(…, version="v1")` brings a
worker, `lab.make_current` says where new conversations begin, and the tables are read from the server's own records.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType, WorkerDeploymentVersionStatus
from temporalio.api.enums.v1 import VersioningBehavior as Behaviour
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from course.lab.awaiting import awaited
from course.lab.chat import Conversation
from course.lab.errors import LabError
from course.lab.processes import WorkerProcess
from course.lab.temporal import Temporal
from course.lab.workers import Workers

SECONDS_TO_SPREAD = 30
"""Until the server's parts have heard of a version, or of which one is current. It takes about one."""

QUEUES = {TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY}


class Versioned:
    """A lab, as far as versions of its code go."""

    task_queue: str
    temporal: Temporal
    workers: Workers
    _talks: Mapping[str, Any]

    def conversation(self, id: str) -> Conversation:
        raise NotImplementedError

    @awaited("lab.deploy(…)")
    async def deploy(
        self, *workflows: type, version: str | None = None, kill: str | Sequence[str] | None = None
    ) -> WorkerProcess | None:
        """Starts the worker with newer workflow code, as a deployment does.

        Without a version it takes the place of the worker before it: conversations go on where their histories stand, and
        the new worker replays each before its next step.

        With a version it is one more worker, in a process of its own, and the others stay: a conversation is pinned to
        the version on which it began. Nothing begins on the new one before `lab.make_current(version)`. When it is
        killed, nobody takes over: deploy the version again.

        Args:
            workflows: Workflow classes. Each takes the place of the one of the same name (`@workflow.defn(name=…)`),
                or is added. With a version there may be none: then it is the lab's code as it is.
            version: The version's build id, such as `v1`.
            kill: With a version: the moment at which the process gets SIGKILL, as in `lab.worker_process`.

        Returns:
            With a version, its worker process.

        Raises:
            LabError: A class is no workflow, or the worker did not start with it. The code from before then runs on.
        """
        self.temporal.must_run()
        if version is None:
            await self.workers.deploy(*workflows)
            return None
        process = await self.workers.start_version(version, workflows, kill)
        await self.known(version)
        return process

    async def known(self, version: str) -> None:
        """Waits until the server knows that a version has a worker. Raises `LabError` if it takes too long."""
        await self._until(lambda: self._serves(version), f"The server has not heard of {version!r}")

    async def _serves(self, version: str) -> bool:
        """Whether the server knows that the version has a worker for workflows and for activities."""
        return {kind for _, kind in await self._queues(version)} >= QUEUES

    async def _queues(self, version: str) -> list[tuple[str, Any]]:
        """Names and kinds of the queues that the version's workers have polled. A reader's own worker has one of its own."""
        one = WorkerDeploymentVersion(deployment_name=self.task_queue, build_id=version)
        asked = DescribeWorkerDeploymentVersionRequest(
            namespace=self.temporal.namespace, deployment_version=one
        )
        try:
            found = await self.temporal.client.workflow_service.describe_worker_deployment_version(asked)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return []
            raise
        return [(queue.name, queue.type) for queue in found.version_task_queues]

    @awaited("lab.make_current(…)")
    async def make_current(self, version: str) -> None:
        """Lets new conversations begin on a version, as `temporal worker deployment set-current-version` does.

        Conversations that are pinned stay where they are, until they go on in a new run; those that began on the kernel's
        worker, which has no version, go over with their next step. To roll back, make the version from before current again.

        Raises:
            LabError: No worker of this version has been there yet.
        """
        self.temporal.must_run()
        client = self.temporal.client
        wanted = SetWorkerDeploymentCurrentVersionRequest(
            namespace=self.temporal.namespace,
            deployment_name=self.task_queue,
            build_id=version,
            identity=client.identity,
        )
        try:
            await client.workflow_service.set_worker_deployment_current_version(wanted)
        except RPCError as error:
            raise LabError(
                f"{version!r} was not made current: {error.message}. A worker of it has to be there: "
                f"await lab.deploy(…, version={version!r})"
            ) from None
        await self._until(lambda: self._is_current(version), f"{version!r} is not current for every task")

    async def _is_current(self, version: str) -> bool:
        """Whether the version's queues have heard of it: only then do their tasks go there."""
        for name, kind in await self._queues(version):
            asked = DescribeTaskQueueRequest(
                namespace=self.temporal.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind
            )
            queue = await self.temporal.client.workflow_service.describe_task_queue(asked)
            if queue.versioning_info.current_deployment_version.build_id != version:
                return False
        return True

    @awaited("lab.versions()")
    async def versions(self) -> pd.DataFrame:
        """The versions that have been deployed, as the server knows them: one row for each, in the order of their names.

        `state`: `inactive` (never current), `current`, `draining` (not current any more, and open conversations are pinned to
        it), `drained` (none is: its worker can go). `conversations`: the open ones of this lab that are there now.
        """
        self.temporal.must_run()
        there = await self.conversations()
        open_now = there[there.status == "running"]
        rows = [
            (version, state, ", ".join(open_now[open_now.version == version].conversation))
            for version, state in sorted((await self._states()).items())
        ]
        return pd.DataFrame(rows, columns=["version", "state", "conversations"])

    @awaited("lab.conversations()")
    async def conversations(self) -> pd.DataFrame:
        """The conversations that this lab has begun: `conversation`, `run` (its last one's number), `version` (of the worker that
        had it last, or `none`), `pinned` (to that version), and `status`. All of it is what the server has on record."""
        self.temporal.must_run()
        rows = []
        for id in self._talks:
            chat = self.conversation(id)
            info = (await chat.record.describe()).raw_description.workflow_execution_info
            where = info.versioning_info
            version, behaviour = where.deployment_version.build_id, where.behavior
            if where.HasField("versioning_override"):  # by an operator's hand
                override = where.versioning_override
                version = override.pinned.version.build_id or version
                behaviour = override.behavior
            pinned = behaviour == Behaviour.VERSIONING_BEHAVIOR_PINNED
            status = WorkflowExecutionStatus(info.status).name.lower()
            rows.append(
                (
                    id,
                    len(await chat.record.histories()),
                    version if where.behavior else "none",
                    pinned,
                    status,
                )
            )
        return pd.DataFrame(rows, columns=["conversation", "run", "version", "pinned", "status"])

    @awaited("lab.drained(…)")
    async def drained(self, version: str, *, timeout: float = 30) -> None:
        """Waits until the server says that no open conversation is pinned to a version: then its worker can go.

        A lab's server looks every second. Any other one waits for three minutes before it looks for the first time.

        Raises:
            LabError: It is not drained in time (real seconds), with the conversations that are still there.
        """
        self.temporal.must_run()

        async def is_drained() -> bool:
            return (await self._states()).get(version) == "drained"

        try:
            await self._until(is_drained, f"{version!r} is not drained", timeout)
        except LabError as error:
            table = await self.versions()
            [row] = table[table.version == version].to_dict("records") or [{}]
            kept = f" It is {row['state']}. Open there: {row['conversations'] or 'none'}." if row else ""
            raise LabError(f"{error}{kept}") from None

    async def _states(self) -> dict[str, str]:
        name = WorkerDeploymentVersionStatus.Name
        return {
            one.deployment_version.build_id: name(one.status).rpartition("_")[2].lower()
            for one in (await self._deployment()).version_summaries
        }

    async def _deployment(self) -> Any:
        asked = DescribeWorkerDeploymentRequest(
            namespace=self.temporal.namespace, deployment_name=self.task_queue
        )
        try:
            found = await self.temporal.client.workflow_service.describe_worker_deployment(asked)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                raise LabError(
                    'No version has been deployed here: await lab.deploy(…, version="v1")'
                ) from None
            raise
        return found.worker_deployment_info

    async def _until(self, holds: Any, else_say: str, seconds: float = SECONDS_TO_SPREAD) -> None:
        """Asks the server again and again. Raises `LabError`."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while not await holds():
            if clock() > end:
                raise LabError(f"{else_say} after {seconds:g} s.{self.temporal.hint()}")
            await asyncio.sleep(0.02)
