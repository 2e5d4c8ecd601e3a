"""Who waits for an activity, for how long, and what ends it: the desk's timeouts and retry policies.

`start_to_close_timeout` bounds one attempt, `schedule_to_close_timeout` all of them together.
Errors that an activity marks as non-retryable end its retries at once, whatever is set here.

`heartbeat_timeout` bounds how long a worker may be silent. The desk's workers beat for every activity that
has one (`course.desk.heartbeats`), so a worker that has died is noticed after three seconds, and its activity
goes to another. Copy these timeouts only with that file: without beats, every attempt that takes longer would
be given up. Without a heartbeat timeout the server waits for `start_to_close_timeout`: a step that may take
long needs both. Three seconds, not one: with ten processes per core, a live worker may be silent for two.
"""

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig

A_WORKER_HAS_DIED = timedelta(seconds=3)

# The agent waits for its tool, and the customer for the agent.
TOOL = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    heartbeat_timeout=A_WORKER_HAS_DIED,
    schedule_to_close_timeout=timedelta(minutes=5),
    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
)

# The customer waits for the record. It is never given up: it waits for the database.
RECORD = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    heartbeat_timeout=A_WORKER_HAS_DIED,
    retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=5)),
)

# Nobody waits for these. After three days they are given up, and the transcript says so.
BACKGROUND = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=30),
    heartbeat_timeout=A_WORKER_HAS_DIED,
    schedule_to_close_timeout=timedelta(days=3),
    retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=30)),
)

# Nobody waits for these either. The first report of a process imports the library that draws
# it, which holds up the rest of the process, for seconds on a busy machine.
REPORT = BACKGROUND.copy()
REPORT["heartbeat_timeout"] = timedelta(seconds=10)

# A payment takes milliseconds, and somebody waits for it: the next attempt follows soon.
PAYMENT = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    heartbeat_timeout=A_WORKER_HAS_DIED,
    schedule_to_close_timeout=timedelta(minutes=5),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=30)
    ),
)
