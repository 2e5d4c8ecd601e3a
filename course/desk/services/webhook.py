"""Webhooks: an HTTP POST that says what happened, which is what Slack and Discord take."""

import functools
import json
import ssl
from dataclasses import dataclass

import httpx2

from .refusals import Refused

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@functools.cache
def certificates() -> ssl.SSLContext:
    """Whom to trust, read once: a client that is given none reads it again, for 20 ms of the processor a notice."""
    return httpx2.create_ssl_context()


@dataclass(frozen=True)
class Webhook:
    """A receiver of notices. One on this machine is reached past the proxies that the environment names."""

    url: str
    field: str = "text"
    """Where the receiver looks for the text: Slack at `text`, Discord at `content`."""

    @property
    def by_proxy(self) -> bool:
        return httpx2.URL(self.url).host not in LOOPBACK

    def post(self, key: str, text: str) -> None:
        """Posts `{"text": …}`. `key` goes along as the `Idempotency-Key`, by which a receiver knows a repeat.

        Raises `Refused` when the receiver refuses for good (HTTP 4xx, but for 408 and 429), `httpx2.HTTPError`
        when it refuses for now or is not there.
        """
        reply = httpx2.post(
            self.url,
            json={self.field: text},
            headers={"Idempotency-Key": json.dumps(key)},
            timeout=5,
            trust_env=self.by_proxy,
            verify=certificates(),
        )
        if reply.is_client_error and reply.status_code not in (408, 429):
            raise Refused(f"The webhook's receiver refuses for good: HTTP {reply.status_code}.")
        reply.raise_for_status()
