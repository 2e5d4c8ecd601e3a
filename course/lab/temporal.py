"""The Temporal server that a lab works with: its own, or one that is already there."""

import asyncio
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, GrpcCompression, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.openai_agents import OpenAIAgentsPlugin
from temporalio.service import RPCError, RPCStatusCode

from course.lab.clock import Clock
from course.lab.errors import LabError
from course.lab.life import Life
from course.lab.persisting import desk_beside, persisted
from course.lab.runtime import runtime, tracing
from course.lab.server import ENVIRONMENT, Server, last_words, temporal_binary


class Temporal:
    """A server, a client of it with the Agents plugin, and its workflows' clock.

    Attributes:
        address, ui_url: As the lab has them.
        client: Starts workflows with their clock held, where the server knows such a clock.
        clock: Moves it. None where the server does not.
        namespace: The namespace's name.
        namespace_id: Its number, another one on every server. A persisted server keeps its own.
        server: The lab's own server, or None.
        stopped: Whether the lab has been stopped.
    """

    def __init__(
        self,
        plugin: OpenAIAgentsPlugin,
        life: Life,
        folder: Path,
        namespace: str,
        persist: "str | os.PathLike[str] | None",
    ) -> None:
        self._plugin, self._folder = plugin, folder
        self.namespace, self.namespace_id = namespace, ""
        self.address, self.ui_url = "", None
        self.server: Server | None = None
        self.client: Client
        self._plain: Client  # without the clock
        self.clock: Clock | None = None
        self.stopped = False
        self._persist = persisted(persist, life) if persist is not None else None
        self.desk_folder = desk_beside(self._persist) if self._persist else None
        life.must_end.callback(lambda: self.server and self.server.stop())

    async def start(self, address: str | None, ui: bool) -> None:
        """Starts a server, unless one is named, and connects. Raises `LabError`."""
        self.address = address or ""
        self._plain = await (self._connect() if address else self._launch(ui))
        self.clock = Clock(self._plain)
        self.client = self.clock.client

    async def _launch(self, ui: bool, ports: Sequence[int] | None = None) -> Client:
        """Starts the server, on free ports or those given, and connects.

        A port that was free a moment ago, or one of those that the server takes beside the two that it is
        given, can be lost to somebody else, at which it ends: then it is started again.
        """
        for _attempt in range(3):
            server = self.server = Server(
                self._folder, ui=ui, persist=self._persist, ports=ports, namespace=self.namespace
            )
            self.address, self.ui_url = server.address, server.ui_url
            if await server.is_up():
                try:
                    return await self._connect()
                except LabError:
                    if server.running:
                        raise
            failure = server.failure()  # in the words of its log
            if "address already in use" not in str(failure):
                break  # it would end so again
        raise failure

    async def _connect(self) -> Client:
        """Connects, and waits until the server knows its namespace."""
        for attempt in count():
            try:
                client = await Client.connect(
                    self.address,
                    namespace=self.namespace,
                    plugins=[self._plugin, *tracing()],
                    runtime=runtime(),
                    grpc_compression=GrpcCompression.NONE,  # it would take more than it spares, on one machine
                )
                request = DescribeNamespaceRequest(namespace=self.namespace)
                described = await client.workflow_service.describe_namespace(request)
                self.namespace_id = described.namespace_info.id
                return client
            except (RuntimeError, RPCError, ValueError) as error:
                if self.server is not None and not self.server.running:
                    raise LabError(f"The Temporal server did not start.{self.hint()}") from None
                if self.server is None and getattr(error, "status", None) is RPCStatusCode.NOT_FOUND:
                    raise LabError(
                        f"The Temporal server at {self.address} has no namespace {self.namespace!r}. Name one that it "
                        f"has in namespace=, or make it: `temporal operator namespace create --address {self.address} --namespace "
                        f"{self.namespace}`."
                    ) from None
                if self.server is None or attempt == 999:
                    raise LabError(
                        f"There is no Temporal server at {self.address}: {error}. "
                        "Start one there, or leave address= away for the lab's own."
                    ) from None
                await asyncio.sleep(0.02)

    async def restart(self) -> None:
        """Kills the server, and starts it again on its file and its ports. Raises `LabError`."""
        if self.server is None:
            raise LabError(f"The server at {self.address} is not this lab's own: restart it where it runs.")
        if self._persist is None:
            raise LabError(
                "This lab's server keeps its history in memory: killed, it would lose everything. Start the lab with "
                "a file, Lab.start(persist='juniper.db'), and it can be restarted."
            )
        ui, ports = self.server.ui_url is not None, self.server.ports
        self.server.stop()
        await self._launch(ui, ports)  # the lab's clients find it again by themselves

    async def begin(self, workflow: str, customer: str, *, id: str, task_queue: str) -> None:
        """Starts a workflow. Raises `WorkflowAlreadyStartedError` for a taken id, or else `LabError`."""
        try:
            await self.client.start_workflow(
                workflow,
                customer,
                id=id,
                task_queue=task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                # How long a workflow task may be in the hands of a worker that has died.
                task_timeout=timedelta(seconds=3),
            )
        except RPCError as error:
            if self.clock and "time-skipping" in error.message.lower():
                # A server that refuses to start workflows with a clock of their own.
                self.clock, self.client = None, self._plain
                return await self.begin(workflow, customer, id=id, task_queue=task_queue)
            raise LabError(f"The conversation did not start: {error.message}{self.hint()}") from None

    async def now(self, handle: WorkflowHandle[Any, Any]) -> datetime:
        """A workflow's own time, UTC."""
        return await self.clock.now(handle) if self.clock else datetime.now(UTC)

    async def cli(self, *arguments: str) -> str:
        """What Temporal's command line prints on this server."""
        process = await asyncio.create_subprocess_exec(
            temporal_binary(),
            *arguments,
            env={
                **os.environ,
                **ENVIRONMENT,
                "TEMPORAL_ADDRESS": self.address,
                "TEMPORAL_NAMESPACE": self.namespace,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return output.decode().strip()

    def must_run(self) -> None:
        """Raises `LabError` when the lab has been stopped."""
        if self.stopped:
            again = "This lab has been stopped. Start another: lab = await Lab.start()"
            if self._persist:
                again += f", on the file that keeps its conversations: persist={str(self._persist)!r}"
            raise LabError(again)

    def hint(self) -> str:
        """What to add to an error when the lab's own server is gone."""
        if self.server and not self.server.running:
            return f" The server has ended: {last_words(self.server.log)} Its log: {self.server.log}"
        return ""
