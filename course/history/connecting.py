"""A client for the server that Temporal's own tools would talk to, and what to say when it does not answer."""

import asyncio
import os
import re
from pathlib import Path

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from course.history.reading import CannotRead

SECONDS_TO_CONNECT = 15
"""A firewall that drops what it is sent would hold the client up for two minutes."""
_REFUSALS = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)


async def connect() -> Client:
    """A client of the server that a profile or TEMPORAL_ADDRESS names; of 127.0.0.1:7233 without either.

    Raises `CannotRead`, in a sentence.
    """
    file = os.environ.get("TEMPORAL_CONFIG_FILE")
    if file and not Path(file).exists():  # Temporal's own reader would go on without it
        raise CannotRead(f"TEMPORAL_CONFIG_FILE names {file!r}, and there is no such file.")
    try:
        found = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        raise CannotRead(
            f"The Temporal configuration cannot be read: {error}. See TEMPORAL_CONFIG_FILE and TEMPORAL_PROFILE."
        ) from None
    found.setdefault("target_host", "127.0.0.1:7233")
    found.setdefault("namespace", "default")
    address = found["target_host"]
    try:
        async with asyncio.timeout(SECONDS_TO_CONNECT):
            return await Client.connect(**found)
    except TimeoutError:
        raise CannotRead(f"Something accepts connections at {address} and says nothing.") from None
    except (RuntimeError, ValueError, RPCError) as error:
        words = re.findall(
            r'(?:message|error): "([^"]+)"', str(error)
        )  # out of the native client's wrappings
        said = words[-1] if words else str(error).removeprefix("Failed client connect: ")
        if "Unauthenticated" in str(error) or "PermissionDenied" in str(error):
            raise CannotRead(
                f"The Temporal server at {address} does not let you in: {said}. See TEMPORAL_API_KEY."
            ) from None
        raise CannotRead(
            f"No Temporal server answers at {address} ({said}). See TEMPORAL_ADDRESS, TEMPORAL_PROFILE and TEMPORAL_TLS."
        ) from None


def refused(error: RPCError, client: Client, what: str) -> CannotRead:
    """What to say of a call that the server did not answer. `what` it was about."""
    where = f"The Temporal server at {client.service_client.config.target_host}"
    namespace = f"namespace {client.namespace!r}"
    if error.status is RPCStatusCode.NOT_FOUND and "amespace" in error.message:
        return CannotRead(f"{where} has no {namespace}: set TEMPORAL_NAMESPACE.")
    if error.status is RPCStatusCode.NOT_FOUND:
        return CannotRead(
            f"{where} has no {what} in {namespace}: it never was there, or its retention is over."
        )
    if error.status in _REFUSALS:
        return CannotRead(f"{where} does not let you read {what} in {namespace}: {error.message}.")
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        return CannotRead(f"{where} does not understand {what}: {error.message}.")
    return CannotRead(f"{where} did not give {what}: {error.message}.")
