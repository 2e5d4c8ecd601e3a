"""One fork server for a whole run of the tests, and kernels that are forked from it.

A process that imports Temporal, the Agents SDK and pandas pays some three seconds for it. Without this, each of
pytest's workers would start a fork server of its own, and so would each kernel; and each kernel would import all
of it again. Notebooks 00 and 01 still run in ordinary kernels with a fork server of their own, as a reader's do.
"""

import os
import signal
import sys
import tempfile
from importlib.metadata import EntryPoint
from multiprocessing import forkserver, get_context
from multiprocessing.process import BaseProcess
from typing import Any

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
    if server._forkserver_alive_fd is None:
        server._forkserver_alive_fd = os.open(os.devnull, os.O_RDONLY)  # the starter alone keeps it alive
    server.ensure_running = forkserver.ensure_running = lambda: None


def kernels_are(how: str) -> None:
    """How the kernels are started whose kernelspec does not say it: `FRESH` or `FORKED`."""
    KernelProvisionerFactory.instance().default_provisioner_name = how


class ForkedKernel(LocalProvisioner):
    """Forks a kernel where others start a Python."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        arguments = (cmd[cmd.index("-f") :], kwargs["env"], kwargs.get("cwd") or os.getcwd())
        process = FORKS.Process(target=run_kernel, args=arguments)
        process.start()
        self.process = Popen(process)
        self.pid = self.pgid = process.pid
        return self.connection_info


class Popen:
    """A process of multiprocessing's in the words of subprocess, which Jupyter speaks."""

    stdin = stdout = stderr = None

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()


def run_kernel(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """In the forked process: what `python -m ipykernel_launcher` does, from its environment to its end."""
    import atexit
    import threading

    import matplotlib
    import pandas
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # it is the environment's to say
    os.chdir(folder)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What these two ask for while they are imported, a kernel would have told them.
    matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"
    pandas.set_option("display.max_columns", 20)
    join(forkserver._forkserver._forkserver_address)
    sys.argv = ["ipykernel_launcher.py", *arguments]
    try:
        # The kernel ends when its parent has: the fork server, which ends with the run.
        IPKernelApp.launch_instance([*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])
    finally:
        threading._shutdown()  # Python's end, which a process that multiprocessing forked leaves out
        atexit._run_exitfuncs()
