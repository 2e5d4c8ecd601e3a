"""A worker of the desk. It serves until it gets SIGTERM or SIGINT (Ctrl+C).

Where the server is, it reads as every Temporal tool does: from TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
TEMPORAL_API_KEY and TEMPORAL_TLS..., or from a profile (TEMPORAL_PROFILE) in a file (TEMPORAL_CONFIG_FILE).

The desk's own settings are variables of the environment, too:
  TASK_QUEUE      the queue to serve (default: juniper)
  DATABASE_URL    a SQLAlchemy URL of SQLite or PostgreSQL (default: sqlite:///desk.db)
  SMTP_ADDRESS    host:port of the mail server (default: 127.0.0.1:25)
  WEBHOOK_URL     where notices of the channel webhook are posted; the desk itself sends mail
                  (default: http://127.0.0.1:8080/)
  REPORTS         the folder for reports (default: reports)
  MODEL           a live model's name (default: the offline model, which is simulated);
                  OPENAI_API_KEY is its key, OPENAI_BASE_URL another endpoint than OpenAI's
  TEMPORAL_DEPLOYMENT_NAME, TEMPORAL_WORKER_BUILD_ID
                  make this a worker of a version, as Temporal's Worker Controller sets them: a workflow's run stays on
                  the version on which it began. Nothing begins there before the version is made current; --check says how
                  (default: a worker without a version)
  METRICS_ADDRESS host:port where a Prometheus finds this process's metrics, such as 127.0.0.1:9464;
                  course/desk/alerts.yml has rules for them (default: no metrics)
  TRACES_URL      where traces are sent, OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces; they hold
                  what customers write (default: no traces)

A setting that is wrong, or a Temporal server that does not answer at the start, ends it with a sentence and exit code 2.
A database, a mail server or a webhook that does not answer is waited for: what needs it is tried again,
a record for ever, a notice for three days, a tool for five minutes.
"""

import argparse
import os
import sys


def seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 86_400:  # false for nan, too
        raise ValueError(text)
    return value


def main(arguments: list[str] | None = None) -> int:
    """Runs the program and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m course.desk",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--setup",
        action="store_true",
        help="make the tables, fill the shop, make the search attributes known, and end",
    )
    instead.add_argument(
        "--check",
        action="store_true",
        help="say whether server, queue, database and mail answer (exit code 0 or 1; 2 for a wrong setting), and end",
    )
    parser.add_argument(
        "--grace",
        type=seconds,
        default=30,
        metavar="SECONDS",
        help="how long running activities may go on after the first signal (default: 30); a second signal ends at once",
    )
    chosen = parser.parse_args(arguments)
    # A sentence is read when it is said, also from a pipe.
    sys.stdout.reconfigure(line_buffering=True)
    try:
        # Only here: whoever asks for help needs no package and does not wait.
        from course.desk import worker
    except ModuleNotFoundError as error:
        print(
            f'The desk needs the package {error.name}: pip install ".[desk]"',
            file=sys.stderr,
        )
        return 2
    if chosen.setup:
        return worker.set_up()
    if chosen.check:
        return worker.check()
    return worker.serve(chosen.grace)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Temporal's native threads may still be trying to connect, and would abort Python's own way out.
    os._exit(code)
