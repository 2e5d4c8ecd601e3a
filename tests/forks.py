"""One fork server for a whole run of the tests, and pytest's workers and kernels that are forked from it.

A process that imports Temporal, the Agents SDK, pandas and pytest's plugins pays some four seconds for it. Without
this, each of pytest's workers would, and start a fork server of its own, and so would each kernel. Notebooks 00 and
01 still run in ordinary kernels with a fork server of their own, as a reader's do.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from typing import Any

from execnet import gateway_io
from execnet.gateway_base import ExecModel, Popen2IO
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

FORKS = get_context("forkserver")
PRELOADED = ["course.lab.preloaded", "tests.preloaded"]

FRESH, FORKED = "local-provisioner", "forked"  # how a kernel is started
KernelProvisionerFactory.provisioners[FORKED] = EntryPoint(
    FORKED, f"{__name__}:ForkedKernel", KernelProvisionerFactory.GROUP_NAME
)


def start() -> str:
    """Starts the fork server of this run, which ends with this process. Returns its address."""
    FORKS.set_forkserver_preload(PRELOADED)
    forkserver.ensure_running()
    return forkserver._forkserver._forkserver_address


def join(address: str) -> None:
    """Lets this process, and whatever the course forks in it, use the fork server that another one started."""
    server = forkserver._forkserver
    server._forkserver_address = address
    server._forkserver_alive_fd = os.open(os.devnull, os.O_RDONLY)  # the starter alone keeps it alive
    server.ensure_running = forkserver.ensure_running = lambda: None


def kernels_are(how: str) -> None:
    """How the kernels are started whose kernelspec does not say it: `FRESH` or `FORKED`."""
    KernelProvisionerFactory.instance().default_provisioner_name = how


def fork_pytests_workers() -> None:
    """From here on, in pytest-xdist's controller."""
    gateway_io.create_io = lambda spec, execmodel: ForkedWorker(execmodel)


class ForkedWorker(Popen2IO):
    """One of pytest's workers, where execnet starts a Python: it speaks with it over its standard input and output."""

    def __init__(self, execmodel: ExecModel) -> None:
        its_input, outfile = FORKS.Pipe(duplex=False)
        infile, its_output = FORKS.Pipe(duplex=False)
        self.process = Forked(target=run_worker, args=(its_input, its_output, dict(os.environ), os.getcwd()))
        self.process.start()
        its_input.close()
        its_output.close()
        self.wait, self.kill = self.process.wait, self.process.kill
        super().__init__(
            os.fdopen(os.dup(outfile.fileno()), "wb"), os.fdopen(os.dup(infile.fileno()), "rb"), execmodel
        )


def run_worker(
    its_input: Connection, its_output: Connection, environment: dict[str, str], folder: str
) -> None:
    """In the forked process: what execnet has a Python do that it starts."""
    os.dup2(its_input.fileno(), 0)
    os.dup2(its_output.fileno(), 1)
    its_input.close()
    its_output.close()
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    with like_a_new_python(environment, folder):
        exec(eval(sys.stdin.readline()), {"__name__": "__main__"})


class ForkedKernel(LocalProvisioner):
    """Forks a kernel where others start a Python."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        arguments = (cmd[cmd.index("-f") :], kwargs["env"], kwargs.get("cwd") or os.getcwd())
        self.process = Forked(target=run_kernel, args=arguments)
        self.process.start()
        self.pid = self.pgid = self.process.pid
        return self.connection_info


class Forked(FORKS.Process):
    """In the words of subprocess, which Jupyter speaks."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self) -> int | None:
        self.join()
        return self.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


@contextmanager
def like_a_new_python(environment: dict[str, str], folder: str) -> Iterator[None]:
    """In a forked process: its environment, and its end."""
    import atexit
    import threading

    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # it is the environment's to say
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        threading._shutdown()  # which a process that multiprocessing forked leaves out
        atexit._run_exitfuncs()


def run_kernel(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """In the forked process: what `python -m ipykernel_launcher` does, from its environment to its end."""
    import matplotlib
    import pandas
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    # What these two ask for while they are imported, a kernel would have told them.
    matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"
    pandas.set_option("display.max_columns", 20)
    join(forkserver._forkserver._forkserver_address)
    sys.argv = ["ipykernel_launcher.py", *arguments]
    with like_a_new_python(environment, folder):
        # The kernel ends when its parent has: the fork server, which ends with the run.
        IPKernelApp.launch_instance([*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])
