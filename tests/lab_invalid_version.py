"""A version that no worker takes: the sandbox cannot import its module."""

from temporalio import workflow


@workflow.defn(name="HelloWorkflow")
class Invalid:
    @workflow.run
    async def run(self, customer: str) -> None: ...


if workflow.unsafe.in_sandbox():
    raise RuntimeError("This module is imported in the sandbox")
