"""Lesson 01, the naive way: code that does not do the same again. The sandbox catches one half of it."""

import re
import time

from temporalio import workflow


# Without failure_exception_types= such a mistake fails nothing: the workflow waits for mended code (lesson 06).
@workflow.defn(failure_exception_types=[workflow.NondeterminismError])
class NaiveUnrepeatableWorkflow:
    @workflow.init
    def __init__(self, customer: str) -> None:
        self._closing = False

    @workflow.run
    async def run(self, customer: str) -> None:
        await workflow.wait_condition(
            lambda: self._closing and workflow.all_handlers_finished()
        )

    @workflow.update
    async def send(self, text: str) -> str:
        if "time" in text:
            return f"It is {time.ctime(time.time())}."  # a replay would read another time
        return " ".join(set(re.findall(r"\d{4}", text)))  # each order once; in which order?

    @workflow.signal
    def close(self) -> None:
        self._closing = True
