"""Whether the Temporal server, the database, the mail server and the webhook answer, and if not, why not."""

import asyncio
import re
import smtplib
from typing import Any

import httpx2
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
)
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.envconfig import ClientConnectConfig
from temporalio.service import RPCError, RPCStatusCode

from course.desk.listing import make_known
from course.desk.services import Database, Mail, Shop, Webhook
from course.desk.settings import WrongSetting

SECONDS_TO_CONNECT = 15
"""A firewall that drops what it is sent would hold the client up for two minutes."""


class Away(Exception):
    """Something does not answer now, and may answer later. The message is a sentence."""


async def connect(server: ClientConnectConfig, **options: Any) -> Client:
    """A client whose namespace is there. Raises `Away` or `WrongSetting`."""
    namespace = server["namespace"]
    try:
        async with asyncio.timeout(SECONDS_TO_CONNECT):
            client = await Client.connect(**server, **options)
            there = DescribeNamespaceRequest(namespace=namespace)
            await client.workflow_service.describe_namespace(there)
            return client
    except (RuntimeError, ValueError, RPCError, TimeoutError) as error:
        raise _no_connection(error, server["target_host"], namespace) from None


def _no_connection(error: Exception, address: str, namespace: str) -> Away | WrongSetting:
    status, whole = getattr(error, "status", None), str(error)
    # The words of the operating system or the server, out of the native client's wrappings.
    words = re.findall(r'(?:message|error): "([^"]+)"', whole)
    said = words[-1] if words else whole.removeprefix("Failed client connect: ")
    if status is RPCStatusCode.NOT_FOUND:
        return WrongSetting(
            f"The Temporal server at {address} has no namespace {namespace!r}: set TEMPORAL_NAMESPACE, or create it "
            f"(temporal operator namespace create --namespace {namespace})."
        )
    if status in REFUSALS or "Unauthenticated" in whole or "PermissionDenied" in whole:
        return WrongSetting(
            f"The Temporal server at {address} does not let this worker in: {said}. See TEMPORAL_API_KEY, or the "
            "client certificate that TEMPORAL_TLS_CLIENT_CERT_PATH names."
        )
    if wrong := re.search(r"InvalidCertificate\((\w+)", whole):
        its = f"The certificate of the Temporal server at {address}"
        if wrong[1].startswith("Expired"):
            return WrongSetting(f"{its} has expired: whoever runs the server renews it.")
        return WrongSetting(
            f"{its} cannot be trusted ({wrong[1]}). Set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the authority that signed it, "
            "and TEMPORAL_TLS_SERVER_NAME to the name in it."
        )
    if status in NO_ANSWER or "tcp connect error" in whole or "dns error" in whole:
        return Away(
            f"No Temporal server answers at {address} ({said}): start it, or set TEMPORAL_ADDRESS."
        )
    if status:
        return Away(
            f"The Temporal server at {address} answers with an error: {said}. Try again."
        )
    if isinstance(error, TimeoutError) or "Timeout expired" in whole:
        return Away(
            f"Something accepts connections at {address}, and says nothing: is the Temporal server there at work?"
        )
    # TLS on one side only and a client certificate that is missing, or not taken, end in the same error.
    return WrongSetting(
        f"Something answers at {address}, but no connection could be made ({said}). Either only one side speaks TLS "
        "(TEMPORAL_TLS=true turns it on, and so does TEMPORAL_API_KEY), or the server wants a client certificate "
        "that is valid today and signed by its authority (TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_KEY_PATH), or "
        "it is not a Temporal server."
    )


REFUSALS = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)
NO_ANSWER = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED)


async def look_at_queue(
    server: ClientConnectConfig, queue: str, version: WorkerDeploymentVersion | None
) -> str:
    """Says that the server answers, and that a worker (of the version, if one is given) asks it for the queue's tasks."""
    client = await connect(server)
    asked = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    found = f"The Temporal server answers at {server['target_host']}, namespace {client.namespace!r}"
    pollers = (await client.workflow_service.describe_task_queue(asked)).pollers
    workers = {_version(poller.deployment_options) for poller in pollers}
    kind = f"worker of version {version.to_canonical_string()}" if version else "worker"
    if not workers or (version and version not in workers):
        raise Away(
            f"{found}, and no {kind} serves the task queue {queue!r}: start one with python -m course.desk."
        )
    for one in [version] if version else workers:
        if not one or await _was_current(client, one):
            return f"{found}, and a {kind} serves the task queue {queue!r}."
    raise Away(
        f"{found}, and a worker of version {one.to_canonical_string()} asks for the tasks of {queue!r} and gets none: it has "
        "never been current. Make it so: temporal worker deployment set-current-version --deployment-name "
        f"{one.deployment_name} --build-id {one.build_id}"
    )


def _version(worker: WorkerDeploymentOptions) -> WorkerDeploymentVersion | None:
    """Each names a build. That makes it a version only if it says so."""
    if (
        worker.worker_versioning_mode
        == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    ):
        return WorkerDeploymentVersion(worker.deployment_name, worker.build_id)
    return None


async def _was_current(client: Client, version: WorkerDeploymentVersion) -> bool:
    """Or is, wholly or for a part of what begins: else no conversation can be on this version."""
    asked = DescribeWorkerDeploymentRequest(
        namespace=client.namespace, deployment_name=version.deployment_name
    )
    try:
        found = await client.workflow_service.describe_worker_deployment(asked)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:  # its first worker has only just begun
            return False
        raise
    return any(
        one.deployment_version.build_id == version.build_id
        and one.HasField("first_activation_time")
        for one in found.worker_deployment_info.version_summaries
    )


async def make_names_known(server: ClientConnectConfig) -> str:
    """Of search attributes: `listing.py`. Raises `Away` or `WrongSetting`."""
    client = await connect(server)
    try:
        new = await make_known(client)
    except RPCError as error:
        cannot = (
            f"The Temporal server does not take the search attributes ({error.message}): "
        )
        raise Away(f"{cannot}make them by hand, each a Keyword.") from None
    return f"The Temporal server knows the search attributes{': ' + ', '.join(new) if new else ''}."


def make_tables(database: Database) -> None:
    """Makes what is missing. Raises `Away` while the database is, and `WrongSetting` where no tables can be made."""
    for last in (False, True):
        try:
            _check_columns(database)
            database.create()
            return Shop(database).open()
        except SQLAlchemyError as error:
            if database.is_away(error):
                raise _trouble(database, error) from None
            if last:  # not the first time: another worker may be making the same table
                raise WrongSetting(
                    f"The desk's tables cannot be made in {database.name}: {_reason(error)}. {ANOTHER}"
                ) from None


def look_at_tables(database: Database) -> str:
    try:
        missing = ", ".join(database.missing_tables())
        _check_columns(database)
    except SQLAlchemyError as error:
        raise _trouble(database, error) from None
    if missing:
        raise Away(
            f"The database {database.name} answers, and has no table {missing}: "
            "python -m course.desk --setup makes them."
        )
    return f"The database {database.name} answers, and has the desk's tables."


def _check_columns(database: Database) -> None:
    if lacking := ", ".join(database.missing_columns()):
        raise WrongSetting(
            f"The database {database.name} was made by an earlier version of the desk, and has no {lacking}. It was left "
            "as it is: add the column and fill it, or set DATABASE_URL to another database."
        )


ANOTHER = "Set DATABASE_URL to a database that lets this user in, and in which it may make tables."


def _trouble(database: Database, error: SQLAlchemyError) -> Away | WrongSetting:
    if database.is_away(error):
        return Away(f"The database {database.name} does not answer ({_reason(error)}).")
    return WrongSetting(
        f"The database {database.name} refuses: {_reason(error)}. {ANOTHER}"
    )


def _reason(error: SQLAlchemyError) -> str:
    """What the driver says, in one line and without the statement."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0].rstrip(".")


def look_at_mail(mail: Mail) -> str:
    at = f"{mail.host}:{mail.port}"
    try:
        smtplib.SMTP(mail.host, mail.port, "localhost", timeout=mail.timeout).close()
    except (smtplib.SMTPException, OSError) as error:
        raise Away(f"The mail server at {at} does not answer ({error}).") from None
    return f"The mail server answers at {at}."


def look_at_webhook(webhook: Webhook) -> str:
    """Asks, and posts nothing: whatever it says to that is an answer."""
    try:
        httpx2.head(webhook.url, timeout=5, trust_env=webhook.by_proxy)
    except httpx2.HTTPError as error:
        raise Away(f"The webhook at {webhook.url} does not answer ({error}).") from None
    return f"The webhook answers at {webhook.url}."
