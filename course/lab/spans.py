"""A receiver of traces, and what page 14b reads off them."""

from typing import Any

import pandas as pd
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from course.lab.runtime import send_spans
from course.models import Answer, LoopbackServer, Request

OF_TEMPORAL = ("StartActivity:", "RunActivity:")


class TraceReceiver:
    """Takes spans on loopback, OTLP over HTTP, as a collector does, and keeps them.

    Attributes:
        url: Where to send them: `Lab.start(tracing=receiver.url)`.
    """

    def __init__(self) -> None:
        self._spans: dict[bytes, Any] = {}
        self._server = LoopbackServer(self._take)
        self.url, self.stop = f"{self._server.url}/v1/traces", self._server.stop

    def _take(self, request: Request) -> Answer:
        sent = ExportTraceServiceRequest.FromString(request.raw)
        for resource in sent.resource_spans:
            for scope in resource.scope_spans:
                self._spans |= {span.span_id: span for span in scope.spans}
        return Answer(200)

    async def spans(self, workflow: str | None = None) -> pd.DataFrame:
        """The spans that have ended: one row each, every span below the one that it is in.

        Columns: `depth` in its trace, `name`, `workflow` and `activity` (their ids, where Temporal says so), and `under`: the
        nearest span around it that is not about an activity. Only what belongs to `workflow`, if it is named.
        """
        await send_spans()
        rows = [
            {
                "depth": len(around := self._around(span)),
                "name": span.name,
                "workflow": _said(span).get("temporalWorkflowID"),
                "activity": _said(span).get("temporalActivityID"),
                "under": next((one.name for one in around if not one.name.startswith(OF_TEMPORAL)), None),
                "trace": span.trace_id,
            }
            for span in sorted(self._spans.values(), key=self._place)
        ]
        table = pd.DataFrame(rows, columns=["depth", "name", "workflow", "activity", "under", "trace"])
        if workflow:
            table = table[table.trace.isin(table.trace[table.workflow == workflow])]
        return table.drop(columns="trace").reset_index(drop=True)

    def _place(self, span: Any) -> list[tuple[int, bytes]]:
        """By which spans are sorted: from the outermost to this one, when each began."""
        path = [span, *self._around(span)][::-1]
        return [(one.start_time_unix_nano, one.span_id) for one in path]

    def _around(self, span: Any) -> list[Any]:
        found = []
        while span := self._spans.get(span.parent_span_id):
            found.append(span)
        return found


def _said(span: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


def joined(record: pd.DataFrame, spans: pd.DataFrame) -> pd.DataFrame:
    """Beside each activity of one run's `activity_table`: how many spans its attempts have, and what they are under.

    Temporal numbers the activities of a run in the order in which they are scheduled.
    """
    attempts = spans[spans.name.str.startswith("RunActivity:")]
    each = attempts.groupby(attempts.activity.astype(int)).agg(
        spans=("name", "size"), under=("under", "first")
    )
    each.index -= 1
    return record[["activity", "decided_by", "attempts", "status"]].join(each)
