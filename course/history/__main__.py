"""Reads the record of Temporal workflows: who decided what, what was tried how often, who waited.

  python -m course.history ada.json                      a file of `temporal workflow show --output json`
  temporal workflow show -w ada -o json | python -m course.history
  python -m course.history --workflow-id ada             all runs of it, from a server
  python -m course.history --query 'WorkflowType="Desk"' --summary

Files hold one run or a list of runs, in any order: JSON as the temporal command or the Web UI writes it, a protobuf
History, or either of them gzipped; - is standard input. The server is found as Temporal's own tools find theirs: by
TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY and TEMPORAL_TLS..., or by a profile (TEMPORAL_PROFILE) in a file
(TEMPORAL_CONFIG_FILE).

What cannot be told from a record is `unknown`, and a line says why. Input that is no history, a workflow that is not
there, or a server that does not answer ends the program with a sentence and exit code 2.
"""

import argparse
import os
import sys

KINDS_OF_PICTURE = (".png", ".svg")


def picture(name: str) -> str:
    if not name.lower().endswith(KINDS_OF_PICTURE):
        raise argparse.ArgumentTypeError(f"{name!r} ends neither in .png nor in .svg")
    return name


def header(text: str) -> tuple[str, str]:
    name, is_pair, value = text.partition("=")
    if not is_pair or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return name.strip(), value.strip()


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m course.history",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    found.add_argument("files", nargs="*", metavar="FILE", help="histories; - is standard input")
    where = found.add_argument_group("from a server")
    one_or_many = where.add_mutually_exclusive_group()
    one_or_many.add_argument("-w", "--workflow-id", metavar="ID", help="one workflow, all runs of its chain")
    one_or_many.add_argument(
        "-q", "--query", help="all that a list filter finds, each with all runs of its chain"
    )
    where.add_argument(
        "-r", "--run-id", metavar="ID", help="the chain that this run is in (default: the last)"
    )
    where.add_argument("--one-run", action="store_true", help="this run alone")
    codec = found.add_argument_group("encoded payloads, as the temporal command takes it")
    codec.add_argument("--codec-endpoint", metavar="URL", help="a codec server (TEMPORAL_CODEC_ENDPOINT)")
    codec.add_argument("--codec-auth", metavar="VALUE", help="its Authorization (TEMPORAL_CODEC_AUTH)")
    codec.add_argument("--codec-header", metavar="KEY=VALUE", type=header, action="append", default=[])
    what = found.add_argument_group("what to show (default: each activity)").add_mutually_exclusive_group()
    what.add_argument("--events", action="store_true", help="each event")
    what.add_argument("--questions", action="store_true", help="the four questions, by type of activity")
    what.add_argument("--summary", action="store_true", help="many workflows, counted by type and activity")
    found.add_argument("--turn", type=int, metavar="N", help="only what belongs to this turn")
    how = found.add_argument_group("how to show it (default: a table)").add_mutually_exclusive_group()
    how.add_argument("--csv", action="store_true", help="CSV; payloads as JSON text, spans in seconds")
    how.add_argument("--json", action="store_true", help="one JSON object a line")
    how.add_argument("--parquet", metavar="FILE", help="a Parquet file (needs pyarrow)")
    how.add_argument("--timeline", metavar="FILE", type=picture, help="a figure, .png or .svg")
    how.add_argument(
        "--html", metavar="FILE", help="one HTML file with all of it, without arguments and results"
    )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Runs the program and returns its exit code."""
    found = parser()
    chosen = found.parse_args(arguments)
    at_a_server = chosen.workflow_id is not None or chosen.query is not None
    if chosen.files and at_a_server:
        found.error("name files or a workflow of a server, not both")
    if (chosen.run_id or chosen.one_run) and chosen.workflow_id is None:
        found.error("--run-id and --one-run need --workflow-id")
    if chosen.turn is not None and (chosen.questions or chosen.summary or chosen.timeline or chosen.html):
        found.error("--turn narrows the table of activities, or of --events")
    if (chosen.timeline or chosen.html) and (chosen.events or chosen.questions or chosen.summary):
        found.error("--timeline and --html show one workflow, all of it")
    if not (chosen.files or at_a_server):
        if sys.stdin.isatty():
            found.error("name a file, or a workflow (--workflow-id, --query)")
        chosen.files = ["-"]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    from course.history import program

    try:
        return program.run(chosen)
    except BrokenPipeError:  # whoever read the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's native threads may still be trying to connect, and would abort Python's own way out.
    os._exit(code)
