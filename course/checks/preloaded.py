"""What the helper that forks the checks' processes has imported beforehand. Nobody else imports this."""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt of the kernel is not for its helper

import matplotlib.backends.backend_agg  # what a report is drawn with
from agents.tracing import get_trace_provider

from course.checks import child, exercises
from course.workflows import ALL

__all__ = ["ALL", "child", "matplotlib"]

for lesson in exercises.LESSONS:
    exercises.load(lesson)
get_trace_provider()  # otherwise made in every process, in a quarter of a second; it sends nothing
