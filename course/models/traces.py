"""Traces stay on this machine."""

import os

from agents import set_trace_provider
from agents.tracing import setup
from agents.tracing.provider import DefaultTraceProvider


def keep_traces_here() -> None:
    """Turns the Agents SDK's tracing off in this process, before the plugin asks for its provider of traces.

    With a key in the environment, the SDK's own provider sends traces to OpenAI. Merely made, it already opens an HTTP
    client, which reads the environment's proxies and fails at a SOCKS proxy without the package for it. A provider
    that somebody has set by now is kept; it records nothing either, unless it was used before.
    """
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
    if setup.GLOBAL_TRACE_PROVIDER is None:
        set_trace_provider(DefaultTraceProvider())
