"""Histories from a server: one workflow's, with all runs of its chain, or those of all that a list filter finds."""

from collections.abc import AsyncIterator

from temporalio.client import Client, WorkflowHistory
from temporalio.converter import PayloadCodec
from temporalio.service import RPCError, RPCStatusCode

from course.history.connecting import connect, refused
from course.history.decoding import decode
from course.history.sources import Chain, continued_by, started_of


async def fetch(
    workflow_id: str,
    *,
    run_id: str | None = None,
    one_run: bool = False,
    client: Client | None = None,
    codec: PayloadCodec | None = None,
) -> list[WorkflowHistory]:
    """The runs of one workflow, from a server: what every table and figure of `course.history` takes.

    Args:
        workflow_id: Whose.
        run_id: A run of the chain to read, where the id was used more than once. Otherwise the last one's.
        one_run: Only this run, and none that it continued or that continued it.
        client: How to get there. Otherwise the server is found as Temporal's own tools find theirs: by a profile,
            or by TEMPORAL_ADDRESS and its like.
        codec: As in `read`. The client's own is not used.

    A run that the server has deleted is left out, and so are those before it.

    Raises `CannotRead` where there is no such workflow, the server is away or refuses, or the codec cannot be used.
    """
    client = client or await connect()
    return (await fetch_chain(client, workflow_id, run_id, one_run=one_run, codec=codec)).runs


async def fetch_chain(
    client: Client,
    workflow_id: str,
    run_id: str | None = None,
    *,
    one_run: bool = False,
    codec: PayloadCodec | None = None,
) -> Chain:
    """What `fetch` fetches, and what it is called."""

    async def history(run: str | None) -> WorkflowHistory:
        found = await client.get_workflow_handle(workflow_id, run_id=run).fetch_history()
        if codec is not None:
            await decode(found.events, codec)
        return found

    try:
        runs = [await history(run_id)]
    except RPCError as error:
        raise refused(
            error, client, f"workflow {workflow_id!r}" + (f", run {run_id}" if run_id else "")
        ) from None
    ids = {run_id or ""}
    while not one_run and (earlier := started_of(runs[0].events).continued_execution_run_id):
        try:
            runs.insert(0, await history(earlier))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                break  # deleted when its retention was over: `doubts` says so
            raise refused(error, client, f"run {earlier}") from None
        ids.add(earlier)
    while not one_run and (later := continued_by(runs[-1].events)) and later not in ids:
        try:
            runs.append(await history(later))
        except RPCError as error:
            raise refused(error, client, f"run {later}") from None
        ids.add(later)
    kind = started_of(runs[0].events).workflow_type.name or "unknown"
    return Chain(workflow_id, kind, runs, frozenset(ids))


async def fetch_chains(
    client: Client, query: str, *, codec: PayloadCodec | None = None
) -> AsyncIterator[Chain]:
    """The workflows that a list filter finds, one at a time, each with all runs of its chain and only once."""
    seen: set[tuple[str, str]] = set()
    try:
        async for found in client.list_workflows(query):
            if (found.id, found.run_id) in seen:
                continue
            chain = await fetch_chain(client, found.id, found.run_id, codec=codec)
            seen.update((found.id, run) for run in chain.run_ids)
            yield chain
    except RPCError as error:
        raise refused(error, client, f"the query {query!r}") from None
