"""Payloads that a codec has encrypted or compressed, made readable again, wherever they are in an event."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from temporalio.api.common.v1 import Payload, Payloads, SearchAttributes
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import PayloadCodec

from course.history.reading import CannotRead, messages_in, value_of

AT_ONCE = 500
"""Payloads that one call of a codec is given."""
SECONDS = 30
"""That a codec server may take for them."""


async def decode(events: Sequence[HistoryEvent], codec: PayloadCodec) -> None:
    """Decodes every payload in place: arguments, results, summaries, headers, memos, failures.

    Search attributes are left alone: no codec encodes them. Raises `CannotRead` where the codec returns
    another number of payloads than it was given, and what the codec raises.
    """
    sealed = [payload for event in events for payload in messages_in(event, Payload, SearchAttributes)]
    for at in range(0, len(sealed), AT_ONCE):
        some = sealed[at : at + AT_ONCE]
        opened = await codec.decode(some)
        if len(opened) != len(some):
            raise CannotRead(
                f"The codec returned {len(opened)} payloads for {len(some)}: they cannot be told apart."
            )
        for payload, found in zip(some, opened, strict=True):
            payload.CopyFrom(found)
    for event in events:
        for failure in messages_in(event, Failure, SearchAttributes):
            _say(failure)


def _say(failure: Failure) -> None:
    """Puts a failure's message back that was encoded apart (`encode_common_attributes`)."""
    if failure.HasField("encoded_attributes"):
        found = value_of(failure.encoded_attributes)
        if isinstance(found, dict) and isinstance(found.get("message"), str):
            failure.message = found["message"]


class RemoteCodec(PayloadCodec):
    """A codec server, as the Web UI and the `temporal` command use it: POST to its `/decode`.

    `endpoint` is its URL, in which `{namespace}` stands for the namespace; `headers` go with every request (an
    `Authorization`, say). A proxy of the environment is used, but not to reach this machine. A redirection is
    not followed: the headers were meant for the endpoint alone.
    """

    def __init__(
        self, endpoint: str, namespace: str = "default", headers: Mapping[str, str] | None = None
    ) -> None:
        """Raises `CannotRead` where `endpoint` is no URL of a server."""
        self.url = endpoint.replace("{namespace}", namespace).rstrip("/") + "/decode"
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https"):
            raise CannotRead(
                f"The codec endpoint {endpoint!r} is no URL: write it as in http://localhost:8081."
            )
        self._headers = {"Content-Type": "application/json", "X-Namespace": namespace, **(headers or {})}
        past_proxies = [urllib.request.ProxyHandler({})] if _is_here(host) else []
        self._opener = urllib.request.build_opener(_NoRedirection, *past_proxies)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        raise NotImplementedError("A record is only read.")

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Raises `CannotRead`, in a sentence, where the server does not answer as a codec server does."""
        body = json.dumps(MessageToDict(Payloads(payloads=payloads))).encode()
        answer = await asyncio.to_thread(self._post, body)
        try:
            return list(ParseDict(json.loads(answer), Payloads()).payloads)
        except (ValueError, ParseError):
            raise CannotRead(
                f"The codec server at {self.url} answered with something else than payloads."
            ) from None

    def _post(self, body: bytes) -> bytes:
        request = urllib.request.Request(self.url, body, self._headers)
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            said = f"answered {error.code} {error.reason}"
        except urllib.error.URLError as error:
            said = f"does not answer ({error.reason})"
        except (OSError, HTTPException, ValueError) as error:
            said = f"cannot be asked ({error})"
        raise CannotRead(f"The codec server at {self.url} {said}: the payloads stay encoded.")


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *about: Any) -> None:
        return None


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
