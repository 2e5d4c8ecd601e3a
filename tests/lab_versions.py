"""Other versions of a workflow of the course, for tests that deploy them."""

from temporalio import workflow


@workflow.defn(name="HelloWorkflow")
class Broken:
    """Fails its task on every message."""

    @workflow.init
    def __init__(self, customer: str) -> None:
        self._closing = False

    @workflow.run
    async def run(self, customer: str) -> None:
        await workflow.wait_condition(lambda: self._closing)

    @workflow.update
    async def send(self, text: str) -> str:
        raise RuntimeError("broken on purpose")

    @workflow.signal
    def close(self) -> None:
        self._closing = True
