"""What recorded event history says, as tables and a figure.

Pure functions: a history in, a DataFrame or a figure out. They know nothing of the course and read the
history of any workflow from anywhere.
"""

from course.history.growth import growth, growth_table
from course.history.path import path, path_table
from course.history.tables import activity_table, event_table, transcript_table
from course.history.timeline import timeline

__all__ = [
    "activity_table",
    "event_table",
    "growth",
    "growth_table",
    "path",
    "path_table",
    "timeline",
    "transcript_table",
]
