"""What the kernel's process tells of itself: one choice for the process, made by the first lab that asks.

Temporal's native threads serve the metrics, and OpenTelemetry has one receiver of traces: both belong to the process.
"""

import asyncio
import ctypes
import functools
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pandas as pd
from prometheus_client.parser import text_string_to_metric_families
from temporalio.plugin import SimplePlugin
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from course.desk.telemetry import metrics_at, send_the_rest, trace_to, traces_url
from course.lab.awaiting import awaited
from course.lab.errors import LabError
from course.lab.server import HOST, free_ports


@dataclass(frozen=True)
class Telemetry:
    """What the process tells, and where."""

    metrics: bool | int = False
    tracing: str | None = None

    def __str__(self) -> str:
        return f"metrics={self.metrics!r} and tracing={self.tracing!r}"


_chosen = Telemetry()
_metrics_url: str | None = None


def choose(metrics: Any, tracing: Any) -> None:
    """Says what this process tells. Raises `LabError` for what cannot be, and for a second choice that is another one."""
    global _chosen
    if not isinstance(metrics, bool) and not (isinstance(metrics, int) and 0 < metrics < 65536):
        raise LabError(
            f"metrics= is True, for a free port, or the number of a port, such as 9464, and not {metrics!r}."
        )
    try:
        wanted = Telemetry(metrics, None if tracing is None else traces_url(tracing))
    except (ValueError, AttributeError, TypeError) as error:
        raise LabError(f"tracing= is where traces are sent to. {error}") from None
    if runtime.cache_info().currsize:  # it is made, and cannot be made otherwise
        if wanted != _chosen:
            raise LabError(
                f"A lab in this kernel was started with {_chosen}. Both belong to the process, so another lab "
                "in it has the same. Start this one so, or restart the kernel and choose first."
            )
        return
    if not isinstance(metrics, bool) and _taken(metrics):
        raise LabError(
            f"Port {metrics} is taken, so no metrics can be served there. Name another one in metrics=, or take a free "
            "one with metrics=True. Nothing was started."
        )
    _chosen = wanted


@functools.cache
def runtime() -> Runtime:
    """One for the process: it has threads of its own. Its log lines would land in a cell, so only errors.

    And not the one about a payload over its limit: the history says so too, and without a time in it.
    """
    global _metrics_url
    errors = TelemetryFilter(core_level="ERROR", other_level="ERROR").formatted()
    logs = LoggingConfig(filter=f"{errors},temporalio_common::payload_limits=off")
    metrics = None
    if _chosen.metrics is not False:
        port = free_ports(1)[0] if _chosen.metrics is True else _chosen.metrics
        metrics = metrics_at(f"{HOST}:{port}")
    try:
        made = Runtime(telemetry=TelemetryConfig(logging=logs, metrics=metrics))
    except (RuntimeError, ValueError) as error:  # the port was lost a moment ago
        raise LabError(f"The metrics cannot be served: {error}. Start the lab again.") from None
    _metrics_url = f"http://{metrics.bind_address}/metrics" if metrics else None
    # Never freed. At Python's end one of its threads may be waiting for the interpreter, which it will not get
    # any more; to free the runtime would be to wait for that thread, for ever.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    return made


@functools.cache
def _tracing(url: str) -> SimplePlugin:
    # A receiver that is away is told of once a second, by a traceback that would land in a cell.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    return trace_to(url)


def tracing() -> list[SimplePlugin]:
    """The plugin that a client needs beside the Agents plugin where traces are sent, and none where they are not."""
    return [_tracing(_chosen.tracing)] if _chosen.tracing else []


async def send_spans() -> None:
    """Sends what is finished now, and not within a second."""
    if _chosen.tracing:
        await asyncio.to_thread(send_the_rest)


# Reading metrics


class Measured:
    """A lab, as far as its metrics go."""

    temporal: Any

    @property
    def metrics_url(self) -> str | None:
        """Where a Prometheus would read the metrics of the kernel's worker; None without `metrics=`."""
        return _metrics_url

    @awaited("lab.metrics(…)")
    async def metrics(self, *names: str, of: str = "worker") -> pd.DataFrame:
        """Metrics as they are now: one row for each sample, a column for each of its labels, and `value`.

        Args:
            names: Names of samples, such as `temporal_workflow_task_execution_failed_total`. Default: all.
            of: `worker`, the kernel's, or `server`, this lab's own.

        Raises:
            LabError: There are none.
        """
        self.temporal.must_run()
        server = self.temporal.server
        url = (server.metrics_url if server else None) if of == "server" else _metrics_url
        if url is None:
            needs = "a server of its own" if of == "server" else "metrics=True"
            raise LabError(f"There are no metrics of the {of} here: start a lab with {needs}.")
        return await samples(url, *names)


async def samples(url: str, *names: str) -> pd.DataFrame:
    """What a Prometheus endpoint says now: columns `name`, one for each label that a sample has, and `value`.

    Args:
        url: The endpoint.
        names: The samples wanted. Default: all.

    Raises:
        LabError: Nobody answers there.
    """
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as http:
            text = (await http.get(url)).raise_for_status().text
    except httpx2.HTTPError as error:
        raise LabError(f"There are no metrics at {url}: {error or type(error).__name__}.") from None
    rows = list(_rows(text, names))
    labels = sorted({label for row in rows for label in row} - {"name", "value"})
    return pd.DataFrame(rows, columns=["name", *labels, "value"])


def _rows(text: str, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    if names:  # a server has thousands: only those lines are read that may be meant
        text = "\n".join(line for line in text.splitlines() if line.startswith(names)) + "\n"
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not names or sample.name in names:
                yield {**sample.labels, "name": sample.name, "value": sample.value}


def _taken(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, port))
        except OSError:
            return True
    return False
