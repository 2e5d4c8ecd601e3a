"""Who does a lab's work: the worker in the kernel, or one in a process of its own for as long as that lives."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from temporalio.common import WorkerDeploymentVersion

from course.desk.answering import why
from course.lab import compat
from course.lab.errors import LabError
from course.lab.outages import OutageInterceptor, Outages
from course.lab.processes import WorkerProcess
from course.lab.running import RunningWorker, WorkerSettings
from course.lab.server import note_process, until
from course.lab.temporal import Temporal
from course.lab.world import World


class Workers:
    """The workers of one lab, which serve its queue.

    Attributes:
        settings: What they serve, and where everything is. `deploy` changes the workflows.
        kernel: The worker in the kernel.
        versions: The worker processes that have a version, and what each serves.
    """

    def __init__(self, settings: WorkerSettings, temporal: Temporal, world: World, outages: Outages) -> None:
        self.settings = settings
        self.kernel: RunningWorker | None = None
        self._temporal, self._folder = temporal, world.folder
        self._interceptor = OutageInterceptor(world.services, outages)
        self._process: WorkerProcess | None = None
        self.versions: dict[str, tuple[WorkerProcess, WorkerSettings]] = {}
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises `LabError` when a workflow or an activity is not valid."""
        try:
            await self._start_kernels()
        except Exception as error:
            raise LabError(f"The worker did not start: {self._why(error)}") from error

    async def _start_kernels(self) -> None:
        self.kernel = RunningWorker(self._temporal.client, self.settings, [self._interceptor])
        await self.kernel.start()

    async def start_process(self, kill: str | Sequence[str] | None) -> WorkerProcess:
        self._no_process("A worker process is already at work.")
        self._process = await WorkerProcess.start(self.settings, kill)
        note_process(self._folder, self._process.pid)
        await self.stop_kernels()
        self._watch = asyncio.create_task(self._take_over(self._process))
        return self._process

    def _no_process(self, else_say: str) -> None:
        if self._process and self._process.alive:
            raise LabError(f"{else_say} Kill it first: process.kill()")

    async def _take_over(self, process: WorkerProcess) -> None:
        await until(lambda: not process.alive, math.inf)
        if not self._temporal.stopped:
            await self._start_kernels()

    async def deploy(self, *workflows: type) -> None:
        self._no_process("A worker process is at work, with its own code.")
        if not workflows:
            raise LabError("There is nothing to deploy: hand in workflow classes, lab.deploy(MyWorkflow).")
        if self._watch:
            await self._watch  # the kernel's worker has taken over
        newer = {definition_of(one).name: one for one in workflows}
        before = self.settings
        self.settings = replace(before, workflows=list({**self.by_type, **newer}.values()))
        await self.stop_kernels()
        try:
            await self._start_kernels()
        except Exception as error:
            reason, self.settings = self._why(error), before
            await self._start_kernels()
            raise LabError(f"Not deployed: {reason} The code from before runs on.") from error

    async def start_version(
        self, version: str, workflows: Sequence[type], kill: str | Sequence[str] | None
    ) -> WorkerProcess:
        """A worker with a version, beside those that are there. Raises `LabError`."""
        if not (isinstance(version, str) and version.strip()):
            raise LabError(f"A version has a build id, a text such as 'v1', and not {version!r}.")
        if version in self.at_work():
            raise LabError(
                f"A worker of version {version!r} is at work, and a version is one state of the code. Name this one "
                "otherwise, or kill that worker first."
            )
        newer = {definition_of(one).name: one for one in workflows}
        settings = replace(
            self.settings,
            workflows=list({**self.by_type, **newer}.values()),
            version=WorkerDeploymentVersion(self.settings.task_queue, version),
        )
        process = await WorkerProcess.start(settings, kill)
        note_process(self._folder, process.pid)
        self.versions[version] = process, settings
        return process

    def at_work(self) -> list[str]:
        """The versions that have a live worker."""
        return [version for version, (process, _) in self.versions.items() if process.alive]

    def _why(self, error: Exception) -> str:
        """Why a worker did not start."""
        for one in self.settings.workflows:
            if one.__module__ == "__main__":
                return (
                    f"{one.__name__} is defined in a cell, and Temporal's sandbox imports a workflow's module. Put it into "
                    "a file, with %%writefile my_desk.py as the cell's first line, and import it from there."
                )
        return why(error)

    @property
    def by_type(self) -> dict[str, type]:
        """The classes that are served, by their workflow types."""
        return {compat.workflow_definition(one).name: one for one in self.settings.workflows}

    def served(self, workflow_class: Any, update: str) -> Any:
        """The definition of a class that is served, with this update. Raises `LabError` for any other."""
        definition = definition_of(workflow_class)
        versions = [settings for _, settings in self.versions.values()]
        if not any(workflow_class in settings.workflows for settings in [self.settings, *versions]):
            if other := self.by_type.get(definition.name):
                raise LabError(
                    f"This lab's worker runs {other.__name__} in place of {workflow_class.__name__}: both are {definition.name!r}. "
                    f"`await lab.deploy({workflow_class.__name__})` changes that."
                )
            raise LabError(
                f"This lab's worker does not run {workflow_class.__name__}. "
                f"Start a lab that does: Lab.start(workflows=[{workflow_class.__name__}])."
            )
        if update not in definition.updates:
            known = ", ".join(str(name) for name in definition.updates) or "none"
            raise LabError(
                f"{workflow_class.__name__} has no update {update!r} (it has: {known}). "
                "Name the one that takes messages: lab.converse(…, update='…')."
            )
        return definition

    async def stop(self) -> None:
        if self._process:
            self._process.kill()
        for process, _ in self.versions.values():
            process.kill()
        if self._watch:
            await asyncio.wait([self._watch])
        await self.stop_kernels()

    async def stop_kernels(self) -> None:
        if self.kernel:
            await self.kernel.stop()


def definition_of(workflow_class: Any) -> Any:
    """Raises `LabError` for what is not a workflow."""
    definition = compat.workflow_definition(workflow_class)
    if definition is None:
        raise LabError(f"{workflow_class!r} is not a workflow: a class with @workflow.defn is.")
    return definition
