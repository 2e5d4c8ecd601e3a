"""For which time a scheduled workflow runs (lesson 13)."""

from datetime import datetime

from temporalio import workflow
from temporalio.common import SearchAttributeKey

SCHEDULED = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


def due() -> datetime:
    """The time that the schedule says, which is not the time at which this runs: that may be later, or again."""
    scheduled = workflow.info().typed_search_attributes.get(SCHEDULED)
    return scheduled or workflow.info().start_time
