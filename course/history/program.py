"""What `python -m course.history` does with what was asked for."""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pandas as pd
from temporalio.service import RPCError

from course.history.connecting import connect
from course.history.decoding import RemoteCodec
from course.history.doubts import told
from course.history.fetching import fetch_chain, fetch_chains
from course.history.page import page
from course.history.printing import cell_text, counted, json_lines, one_line, plain, table_text
from course.history.questions import ASKED, questions
from course.history.reading import CannotRead
from course.history.sources import Chain, Source, read_chains
from course.history.summary import Summary
from course.history.tables import activity_table, event_table

_IN_A_TABLE = ["turn", "activity", "decided_by", "attempts", "status", "waited", "ran"]
_MISSING_SHOWN = 20
INTERRUPTED = 130


def run(chosen: argparse.Namespace) -> int:
    """Shows what was asked for. Returns the exit code: 0, 2 with a sentence on stderr, 130 where it was interrupted."""
    try:
        return asyncio.run(_show(chosen))
    except CannotRead as error:
        print(one_line(str(error)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED


async def _show(chosen: argparse.Namespace) -> int:
    if chosen.summary:
        return await _summarise(chosen)
    output = _Output(chosen)
    async for chain in _chains(chosen):
        if chosen.timeline or chosen.html:
            output.only(chain)
        else:
            output.add(chain)
    output.finish()
    return 0


# Input


async def _chains(chosen: argparse.Namespace) -> AsyncIterator[Chain]:
    """The workflows that were asked for, one at a time."""
    if chosen.files:
        codec = _codec(chosen, os.environ.get("TEMPORAL_NAMESPACE") or "default")
        sources: list[Source] = [sys.stdin.buffer if name == "-" else name for name in chosen.files]
        for chain in read_chains(sources, codec=codec):
            yield chain
            await asyncio.sleep(0)  # where Ctrl+C is noticed
        return
    client = await connect()
    codec = _codec(chosen, client.namespace)
    if chosen.workflow_id is not None:
        yield await fetch_chain(
            client, chosen.workflow_id, chosen.run_id, one_run=chosen.one_run, codec=codec
        )
        return
    found = 0
    async for chain in fetch_chains(client, chosen.query, codec=codec):
        found += 1
        yield chain
    if not found:
        raise CannotRead(f"The query {chosen.query!r} finds no workflow in namespace {client.namespace!r}.")


def _codec(chosen: argparse.Namespace, namespace: str) -> RemoteCodec | None:
    endpoint = chosen.codec_endpoint or os.environ.get("TEMPORAL_CODEC_ENDPOINT")
    if not endpoint:
        return None
    headers = dict(chosen.codec_header)
    if auth := chosen.codec_auth or os.environ.get("TEMPORAL_CODEC_AUTH"):
        headers["Authorization"] = auth
    return RemoteCodec(endpoint, namespace, headers)


# Output


class _Output:
    """Prints or writes what was asked for of one workflow after the other."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._shown = 0
        self._for_parquet: list[pd.DataFrame] = []
        self._one: Chain | None = None

    def add(self, chain: Chain) -> None:
        activities, turns, lines = told(chain.runs)
        chosen = self._chosen
        is_text = not (chosen.csv or chosen.json or chosen.parquet)
        if chosen.events:
            table = event_table(chain.runs)
        elif chosen.questions:
            table = questions(chain.runs)
        else:
            table = activity_table(chain.runs, times=True)
            table["decided_by"] = [activity.decided_by for activity in activities]
            if is_text:
                table = table[
                    ["run"] * (len(chain.runs) > 1) + _IN_A_TABLE + ["failure"] * bool(table.failure.any())
                ]
        numbers = {message.turn for message in turns.messages if message.turn is not None}
        if chosen.turn is not None:
            if chosen.turn not in numbers:
                has = f"turns 1 to {max(numbers)}" if numbers else "no turns"
                raise CannotRead(f"{chain.id} has no turn {chosen.turn}: it has {has}.")
            table = table[table.turn == chosen.turn]
        if is_text:
            self._print(chain, table, len(numbers), lines)
        else:
            self._write(chain, table, lines)
        self._shown += 1

    def _print(self, chain: Chain, table: pd.DataFrame, turns: int, lines: list[str]) -> None:
        if self._shown:
            print()
        runs = counted(len(chain.runs), "run")
        print(one_line(f"{chain.id} · {chain.type} · {runs} · {counted(turns, 'turn')}"))
        if self._chosen.questions:
            _print_blocks(table)
        else:
            _print_table(table)
        for line in lines:
            print(one_line(line))

    def _write(self, chain: Chain, table: pd.DataFrame, lines: list[str]) -> None:
        table.insert(0, "workflow_id", chain.id)
        if self._chosen.json:
            for line in json_lines(table):
                print(line)
        elif self._chosen.csv:
            plain(table).to_csv(sys.stdout, index=False, header=not self._shown, lineterminator="\n")
        else:
            self._for_parquet.append(plain(table))
        for line in lines:
            print(one_line(f"{chain.id}: {line}"), file=sys.stderr)

    def only(self, chain: Chain) -> None:
        """Notes the one workflow that a figure or a page is of."""
        if self._one is not None:
            raise CannotRead("A figure or a page shows one workflow, and these are several: name one.")
        self._one = chain

    def finish(self) -> None:
        """Writes what goes to a file."""
        chosen = self._chosen
        try:
            if chosen.parquet:
                _write_parquet(pd.concat(self._for_parquet, ignore_index=True), chosen.parquet)
            elif chosen.html:
                text = page(self._one.runs, title=self._one.id)
                Path(chosen.html).write_text(text, encoding="utf-8", errors="replace")
            elif chosen.timeline:
                _draw(self._one, chosen.timeline)
        except OSError as error:
            raise CannotRead(
                f"{error.filename or 'The file'} cannot be written: {error.strerror or error}."
            ) from None


def _write_parquet(table: pd.DataFrame, file: str) -> None:
    try:
        table.to_parquet(file, index=False)
    except ImportError:
        raise CannotRead(
            "Parquet needs one more package: pip install pyarrow. --csv and --json need none."
        ) from None


def _draw(chain: Chain, file: str) -> None:
    from course.history.reading import runs_of
    from course.history.timeline import drawn

    activities, turns, lines = told(chain.runs)
    figure = drawn(runs_of(chain.runs), activities, turns, f"{chain.id}: who decided what")
    figure.savefig(file, dpi=2 * figure.dpi)
    for line in lines:
        print(one_line(line), file=sys.stderr)


def _print_table(table: pd.DataFrame) -> None:
    on_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if on_terminal else None
    for line in table_text(table, width, colour=on_terminal and not os.environ.get("NO_COLOR")):
        print(line)


def _print_blocks(table: pd.DataFrame) -> None:
    """A few lines for each row of `questions`: its answers are too long for a table."""
    labels = {**ASKED, "bounds": "its timeouts and retries", "ended": "what ended it"}
    width = max(map(len, labels.values()))
    for row in table.itertuples():
        print(one_line(f"{row.activity}, {row.times} ×"))
        for name, label in labels.items():
            print(f"  {label:<{width}}  {one_line(getattr(row, name))}")


# Over many


async def _how_many(chosen: argparse.Namespace) -> int:
    """Files, or workflow runs that a query finds. A chain's runs are read together, also those that it does not find."""
    if chosen.query is None:
        return len(chosen.files) or 1
    try:
        return (await (await connect()).count_workflows(chosen.query)).count
    except RPCError:
        return 0  # who reads the workflows is told why


def _show_progress(read: int, total: int) -> None:
    read = min(read, total)
    print(f"\r[{'#' * (20 * read // total):<20}] {read:,} of {total:,}", end="", file=sys.stderr, flush=True)


async def _summarise(chosen: argparse.Namespace) -> int:
    summary, code, read = Summary(), 0, 0
    total = await _how_many(chosen) if sys.stderr.isatty() else 0
    try:
        async for chain in _chains(chosen):
            summary.add(chain.runs, chain.id)
            read += len(chain.run_ids) if chosen.query else 1
            if total:
                _show_progress(read, total)
    except asyncio.CancelledError:  # Ctrl+C
        code = INTERRUPTED
        print(
            f"\nInterrupted after {summary.workflows} workflows: what follows is of these.", file=sys.stderr
        )
    if total:
        print(file=sys.stderr)
    table = summary.activities()
    if chosen.csv:
        table.to_csv(sys.stdout, index=False, lineterminator="\n")
    elif chosen.json:
        for line in json_lines(table):
            print(line)
    elif chosen.parquet:
        _write_parquet(table, chosen.parquet)
    else:
        for line in _in_words(summary):
            print(line)
    return code


def _in_words(summary: Summary) -> Iterator[str]:
    on_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if on_terminal else None
    colour = on_terminal and not os.environ.get("NO_COLOR")
    yield from table_text(summary.types(), width, colour)
    yield "(model_calls and tokens: a turn's, on average)"
    for name, table in summary.activities().groupby("workflow", sort=False):
        yield ""
        yield one_line(f"{name} (waited, ran: seconds, the median and the 95th percentile)")
        short = table[["activity", "decided_by", "times", "attempts", "failed"]]
        for column in ("waited", "ran"):
            pairs = zip(table[f"{column}_p50"], table[f"{column}_p95"], strict=True)
            short = short.assign(**{column: [", ".join(map(cell_text, pair)).strip(", ") for pair in pairs]})
        yield from table_text(short, width, colour)
    missing = summary.missing()
    if len(missing):
        yield ""
        yield "Turns without an activity that the workflow's code asked for in other turns (of: the share of turns that had it):"
        yield from table_text(missing[:_MISSING_SHOWN], width, colour)
        if len(missing) > _MISSING_SHOWN:
            yield f"... and {len(missing) - _MISSING_SHOWN} more."
    frozen = summary.frozen()
    if len(frozen):
        yield ""
        yield "Frozen: the record ends with failed workflow tasks."
        yield from table_text(frozen, width, colour)
    yield ""
    if summary.doubtful:
        yield f"Of {summary.doubtful} workflows something cannot be told: without --summary each says why."
    yield "Who waits for a person is not listed: no record says for whom a workflow waits."
