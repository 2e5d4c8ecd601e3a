"""What recorded event history says, as tables, figures and a page.

Functions that take a history and give a DataFrame, a figure or HTML; `read` and `fetch`, which get one; and `record`
and `replay`, which make a test of one.
They know nothing of the course and read the history of any workflow from anywhere. As a program:
`python -m course.history`.
"""

from course.history.decoding import RemoteCodec
from course.history.fetching import fetch
from course.history.growth import growth, growth_table
from course.history.page import page
from course.history.path import path, path_table
from course.history.questions import questions
from course.history.reading import CannotRead
from course.history.recording import record, replay
from course.history.sources import read
from course.history.summary import Summary
from course.history.tables import activity_table, event_table, transcript_table
from course.history.timeline import timeline

__all__ = [
    "CannotRead",
    "RemoteCodec",
    "Summary",
    "activity_table",
    "event_table",
    "fetch",
    "growth",
    "growth_table",
    "page",
    "path",
    "path_table",
    "questions",
    "read",
    "record",
    "replay",
    "timeline",
    "transcript_table",
]
