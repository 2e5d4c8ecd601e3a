"""What a desk's process tells of itself: metrics at an address of its own, and traces, sent to an address that you name.

Both belong to the process, and are off unless somebody asks for them. Lesson 14 is about the metrics, page 14b
about the traces. `alerts.yml` has rules for Prometheus.

Turns are counted behind their row, and not in the workflow's code, which counts again whenever its task fails. A worker
that dies between row and count leaves that turn out: the table stays the truth.
"""

import functools
import logging
import os
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from temporalio import activity
from temporalio.contrib import opentelemetry as spans
from temporalio.runtime import PrometheusConfig

from course.desk.services.webhook import LOOPBACK

REPLY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


def metrics_at(address: str) -> PrometheusConfig:
    """Serves this process's metrics at http://`address`/metrics, under names as Prometheus has them."""
    return PrometheusConfig(
        bind_address=address,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides={"desk_reply": REPLY_SECONDS},
    )


def count_turn(outcome: str, asked_at: str) -> None:
    """Counts a turn whose row is new, and how long its customer waited. For the activity that wrote the row."""
    try:
        waited = activity.info().started_time - datetime.fromisoformat(asked_at)
    except (TypeError, ValueError):
        return  # a time of a model's making is no measurement
    meter = activity.metric_meter()
    meter.create_counter("desk_turns").add(1, {"outcome": outcome})
    reply = meter.create_histogram_float("desk_reply", unit="seconds")
    reply.record(max(waited.total_seconds(), 0.0))


def traces_url(text: str) -> str:
    """The address of a receiver of traces, OTLP over HTTP. Raises `ValueError` for what is none."""
    if not re.fullmatch(r"https?://[^/\s:]+(:\d{1,5})?(/\S*)?", text):
        raise ValueError(f"{text!r} is no address such as http://127.0.0.1:4318/v1/traces.")
    return text


def trace_to(url: str) -> spans.OpenTelemetryPlugin:
    """Sends this process's traces to `url`. Call it once, before `agents_plugin(…, traced=True)`.

    Returns the plugin that adds a span for each step of Temporal's. Spans hold what customers write: choose who
    receives them. A receiver that is away costs the desk nothing: a thread of its own sends, and drops what it cannot.
    """
    import requests
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = spans.create_tracer_provider(shutdown_on_exit=False)
    _keep_tracers(provider)
    # In batches: to send each span at once would be I/O in a workflow, which its sandbox refuses.
    session = requests.Session()
    session.trust_env = urlsplit(url).hostname not in LOOPBACK
    exporter = OTLPSpanExporter(url, timeout=5, session=session)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)
    logging.getLogger("opentelemetry.context").setLevel("CRITICAL")  # of workflows let go
    # The Agents SDK may trace again. Its own provider still sends nothing: `keep_traces_here` has set it.
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "0"
    return spans.OpenTelemetryPlugin(add_temporal_spans=True)


def _keep_tracers(provider: spans.ReplaySafeTracerProvider) -> None:
    """Who asks by the same name gets the same tracer. The plugin asks again for every span, and OpenTelemetry then sets a
    filter of Python's warnings anew: two fifths of what traces cost."""
    new = provider.get_tracer
    kept = functools.cache(new)

    def get_tracer(
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> trace.Tracer:
        ask = new if attributes else kept
        return ask(name, version, schema_url, attributes)

    provider.get_tracer = get_tracer  # type: ignore[method-assign]


def send_the_rest() -> None:
    """Where traces are sent: sends what is finished and not yet sent. Gives up after some seconds."""
    trace.get_tracer_provider().force_flush(5000)  # type: ignore[attr-defined]
