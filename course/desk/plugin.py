"""The Agents SDK on Temporal, as every worker here uses it: the plugin, and how a model call is run."""

from datetime import timedelta

from agents import ModelProvider
from temporalio.common import RetryPolicy
from temporalio.openai_agents import ModelActivityParameters, OpenAIAgentsPlugin

from course.models import keep_traces_here

keep_traces_here()  # in every process that has a worker, before there is one

# The customer waits for a model call, so it is given up after ten minutes with an apology.
MODEL_CALLS = ModelActivityParameters(
    start_to_close_timeout=timedelta(seconds=60),
    heartbeat_timeout=timedelta(seconds=3),  # as `A_WORKER_HAS_DIED` in the policies
    schedule_to_close_timeout=timedelta(minutes=10),
    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
)


def agents_plugin(provider: ModelProvider, traced: bool = False) -> OpenAIAgentsPlugin:
    """`traced` where `trace_to` of `telemetry.py` has said to whom: its plugin adds Temporal's spans, for every step."""
    spans = {"use_otel_instrumentation": traced, "add_temporal_spans": not traced}
    return OpenAIAgentsPlugin(model_params=MODEL_CALLS, model_provider=provider, **spans)
