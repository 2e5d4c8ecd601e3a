"""Certificates for tests, and a relay that speaks TLS in front of a server that does not."""

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from course.desk.heartbeats import thread

T = TypeVar("T")

NAME = "temporal.test"
"""In the relay's certificate, beside the address: so a client that is told no name finds the address there."""


class Authority:
    """Signs certificates, and writes each with its key to `folder`, as `{name}.pem` and `{name}.key`."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder, self._name, self._key = folder, _named(name), ec.generate_private_key(ec.SECP256R1())
        folder.mkdir(exist_ok=True)
        own = self._certificate(name, self._key, timedelta(days=1), True)
        self.pem = folder / f"{name}.pem"
        self.pem.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, valid: timedelta = timedelta(days=1)) -> tuple[Path, Path]:
        """One that is valid for a time from now on, or has been until then, if that is negative."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        issued = self._certificate(name, key, valid, False)
        pem.write_bytes(issued.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        kind = serialization.PrivateFormat.PKCS8
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, plain))
        return pem, key_file

    def _certificate(
        self, name: str, key: ec.EllipticCurvePrivateKey, valid: timedelta, authority: bool
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names = [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder(self._name, _named(name), key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + valid)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@contextlib.contextmanager
def relay(address: str, certificate: tuple[Path, Path], clients: Path | None = None) -> Iterator[str]:
    """Hands on to `address` what comes by TLS. Yields its own address.

    With `clients`, the file of an authority, it demands a certificate that this one has signed.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2"])  # gRPC's clients ask for it
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    ways: set[asyncio.StreamWriter] = set()
    at_work: set[asyncio.Task[None]] = set()

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_work.add(asyncio.current_task())
        with contextlib.suppress(OSError):
            from_there, to_there = await asyncio.open_connection(*address.split(":"))
            ways.update((writer, to_there))
            await asyncio.gather(_copy(reader, to_there), _copy(from_there, writer))
        writer.close()

    async def end() -> None:
        server.close()
        for way in ways:
            way.transport.abort()
        await asyncio.gather(*at_work)

    server = beside(asyncio.start_server(hand_on, "127.0.0.1", 0, ssl=context))
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        beside(end())


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def beside(work: Coroutine[Any, Any, T]) -> T:
    """Runs it in an event loop beside the test, which may run a program that makes a loop of its own."""
    return asyncio.run_coroutine_threadsafe(work, thread("beside the tests")).result(120)
