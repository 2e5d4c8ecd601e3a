"""The settings of the desk's program: what is wrong ends it with a sentence, before anything is served."""

import contextlib
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from course.desk.__main__ import main
from tests.desk_process import ROOT, SETTINGS, here, server

__all__ = ["here", "server"]  # fixtures


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """Two listeners that speak TLS, the second of which asks for a client certificate, and whom to trust."""
    folder, now = tmp_path_factory.mktemp("tls"), datetime.now(UTC)
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "both.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with contextlib.ExitStack() as listeners:
        ports = []
        for asks in (False, True):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            context.set_alpn_protocols(["h2"])
            if asks:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(pem)
            listener = listeners.enter_context(socket.create_server(("127.0.0.1", 0)))
            threading.Thread(target=shake_hands, args=(listener, context), daemon=True).start()
            ports.append(listener.getsockname()[1])
        yield f"localhost:{ports[0]}", f"localhost:{ports[1]}", pem


def shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # closed: the tests are over
            return
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.recv(1000)


def unwritable(folder: Path) -> str:
    """A folder without write permission, also for root."""
    if os.geteuid() == 0:
        return "/sys"
    folder.mkdir(mode=0o500)
    return str(folder)


NO_TLS_OR_NO_CERTIFICATE = "Either only one side speaks TLS .* or the server wants a client certificate"
TABLES = "The desk's tables cannot be made in sqlite:///.*: "
NO_DRIVER = "DATABASE_URL names no database that can be used: "
UNTRUSTED = "The certificate of the Temporal server at localhost:.* cannot be trusted"
WRONG = {
    "TEMPORAL_PROFILE=nope": "Profile 'nope' not found",
    "TEMPORAL_CONFIG_FILE=none.toml": "TEMPORAL_CONFIG_FILE names 'none.toml': no such file",
    "TEMPORAL_CONFIG_FILE=bad.toml": "cannot be read: .*TOML parse error",
    "TEMPORAL_ADDRESS=127.0.0.1": r"TEMPORAL_ADDRESS \(or the profile's address\) is '127.0.0.1': write it as host:port",
    "TEMPORAL_ADDRESS=127.0.0.1:1": r"No Temporal server answers at 127.0.0.1:1 \(Connection refused\): start it",
    "TEMPORAL_NAMESPACE=nope": "has no namespace 'nope': set TEMPORAL_NAMESPACE",
    "TEMPORAL_API_KEY=abc TEMPORAL_TLS=false": "_KEY is set and TLS is off, so anybody on the network could read the key",
    "TEMPORAL_API_KEY=a\nb": "TEMPORAL_API_KEY holds a character that cannot be sent",
    # TLS against a plain port, and no TLS, or no client certificate, where they are wanted
    "TEMPORAL_TLS=true": NO_TLS_OR_NO_CERTIFICATE,
    "TEMPORAL_API_KEY=abc": NO_TLS_OR_NO_CERTIFICATE,
    "TEMPORAL_ADDRESS={tls}": NO_TLS_OR_NO_CERTIFICATE,
    "TEMPORAL_ADDRESS={mtls} TEMPORAL_TLS_SERVER_CA_CERT_PATH={pem}": NO_TLS_OR_NO_CERTIFICATE,
    # A certificate of nobody, and of another
    "TEMPORAL_ADDRESS={tls} TEMPORAL_TLS=true": UNTRUSTED,
    "TEMPORAL_ADDRESS={tls} TEMPORAL_TLS_SERVER_CA_CERT_PATH={pem} TEMPORAL_TLS_SERVER_NAME=other": UNTRUSTED,
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH=none.pem": "configuration cannot be read: .*none.pem",
    "TEMPORAL_TLS_CLIENT_CERT_PATH={pem}": "private key",
    "DATABASE_URL=nodb://x/y": f"{NO_DRIVER}.*nodb",
    "DATABASE_URL=oracle+cx_oracle://x/y": f"{NO_DRIVER}.*cx_Oracle",
    "DATABASE_URL=desk.db": NO_DRIVER,
    "DATABASE_URL=sqlite://": "names a database in memory",
    "DATABASE_URL=sqlite:///file::memory:?uri=true": "names a database in memory",
    "DATABASE_URL=sqlite:///none/desk.db": TABLES + "unable to open",
    "DATABASE_URL=sqlite:///bad.toml": TABLES + "file is not a database",
    "DATABASE_URL=sqlite:///file:empty.db?mode=ro&uri=true": TABLES + "attempt to write a readonly database",
    "SMTP_ADDRESS=mail": "SMTP_ADDRESS is 'mail': write it as host:port",
    "SMTP_ADDRESS=:25": "SMTP_ADDRESS is ':25'",
    "SMTP_ADDRESS=mail:65536": "SMTP_ADDRESS is 'mail:65536'",
    "WEBHOOK_URL=hooks.example/x": "WEBHOOK_URL is 'hooks.example/x': write",
    "WEBHOOK_URL=ftp://hooks.example/x": "begins with http:// or https://",
    "WEBHOOK_URL=http:///x": "WEBHOOK_URL is 'http:///x'",
    "REPORTS={unwritable}": "REPORTS is .*, and no report can be written there",
    "REPORTS=bad.toml": "REPORTS is 'bad.toml', and no report can be written there",
    "METRICS_ADDRESS=9464": "METRICS_ADDRESS is '9464': write it as host:port",
    "METRICS_ADDRESS=nowhere:9464": "METRICS_ADDRESS names no free port of this machine: ",
    "TRACES_URL=127.0.0.1:4318": "TRACES_URL is wrong. .* is no address such as http://",
    "TEMPORAL_DEPLOYMENT_NAME=juniper": "Of TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID one is set: a version has",
    "TEMPORAL_WORKER_BUILD_ID=v1": "Of TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID one is set: a version has",
    "TEMPORAL_DEPLOYMENT_NAME=a.b TEMPORAL_WORKER_BUILD_ID=v1": "TEMPORAL_DEPLOYMENT_NAME is 'a.b': no dot and no colon",
    "MODEL=gpt-5-mini": "MODEL cannot be used: .*OPENAI_API_KEY is not set",
}


@pytest.mark.parametrize(("environment", "says"), WRONG.items(), ids=WRONG)
def test_what_is_wrong_ends_it_before_anything_is_served(
    here: Path,
    tls: tuple[str, str, Path],
    environment: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (here / "bad.toml").write_text("[profile.default\n")
    (here / "empty.db").write_bytes(b"")
    places = {"tls": tls[0], "mtls": tls[1], "pem": tls[2], "unwritable": unwritable(here / "shut")}
    for setting in environment.format(**places).split(" "):
        monkeypatch.setenv(*setting.split("=", 1))
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("The desk did not start. ")
    assert re.search(says, said.err), said.err
    assert "Serving" not in said.out
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "arguments", [["--grace", "-1"], ["--grace", "nan"], ["--grace", "soon"], ["--setup", "--check"], ["now"]]
)
def test_arguments_that_make_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m course.desk" in capsys.readouterr().err


def test_every_setting_is_known_to_the_tests() -> None:
    """And so to `--help`, below."""
    read = re.findall(r'\bsetting\("(\w+)"', (ROOT / "course/desk/settings.py").read_text())
    assert {*read} == {*SETTINGS}


def test_help_needs_no_package_and_no_environment() -> None:
    command = [sys.executable, "-S", "-m", "course.desk"]
    helped = subprocess.run([*command, "--help"], env={}, cwd=ROOT, capture_output=True, text=True)
    assert (helped.returncode, helped.stderr) == (0, "")
    for name in (*SETTINGS, "TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "--setup", "--check", "--grace"):
        assert name in helped.stdout
    begun = subprocess.run(command, env={}, cwd=ROOT, capture_output=True, text=True)
    assert begun.returncode == 2
    assert re.fullmatch(r'The desk needs the package \w+: pip install "\.\[desk\]"\n', begun.stderr)


def test_without_a_server_the_process_ends_with_a_sentence(here: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TEMPORAL_ADDRESS": "127.0.0.1:1"}
    command = [sys.executable, "-m", "course.desk"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"The desk did not start\. No Temporal server answers at .*\n", done.stderr)
