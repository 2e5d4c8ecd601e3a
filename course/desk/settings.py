"""What the environment says: where the Temporal server is, and with what the desk works."""

import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from agents import ModelProvider
from sqlalchemy.exc import SQLAlchemyError
from temporalio.common import WorkerDeploymentVersion
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import PrometheusConfig

from course.desk.services import Database, Mail, Services, Shop, Webhook
from course.desk.telemetry import metrics_at, traces_url
from course.models import ModelError, model_provider


class WrongSetting(ValueError):
    """The desk cannot work like this, however long it waits. The message says what is wrong, and what to do."""


def setting(name: str, default: str) -> str:
    return os.environ.get(name, "").strip() or default


def task_queue() -> str:
    return setting("TASK_QUEUE", "juniper")


def version() -> WorkerDeploymentVersion | None:
    """Of which version this worker is, if of any. Raises `WrongSetting`."""
    name = setting("TEMPORAL_DEPLOYMENT_NAME", "")
    build_id = setting("TEMPORAL_WORKER_BUILD_ID", "")
    if bool(name) != bool(build_id):
        raise WrongSetting(
            "Of TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID one is set: a version has both. Set both, or neither."
        )
    if "." in name or ":" in name:  # the server would refuse each poll, for ever
        raise WrongSetting(
            f"TEMPORAL_DEPLOYMENT_NAME is {name!r}: no dot and no colon may be in it."
        )
    return WorkerDeploymentVersion(name, build_id) if name else None


def temporal_server() -> ClientConnectConfig:
    """How to connect. Raises `WrongSetting`."""
    file = os.environ.get("TEMPORAL_CONFIG_FILE")
    if file and not Path(file).exists():  # Temporal's own reader would go on without it
        raise WrongSetting(f"TEMPORAL_CONFIG_FILE names {file!r}: no such file.")
    try:
        found = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        raise WrongSetting(
            f"The Temporal configuration cannot be read: {error}. See TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE "
            "and the other TEMPORAL_ variables."
        ) from None
    found.setdefault("target_host", "127.0.0.1:7233")
    found.setdefault("namespace", "default")
    _host_and_port("TEMPORAL_ADDRESS (or the profile's address)", found["target_host"])
    key = found.get("api_key")
    if key is not None and not (key.isascii() and key.isprintable()):
        raise WrongSetting(
            "TEMPORAL_API_KEY holds a character that cannot be sent (a line break, an accent?): set it again."
        )
    if key and not found.get("tls"):
        raise WrongSetting(
            "TEMPORAL_API_KEY is set and TLS is off, so anybody on the network could read the key: "
            "turn TLS on (TEMPORAL_TLS, or tls in the profile), or remove the key."
        )
    return found


def model() -> ModelProvider:
    """Who gives the models. Raises `WrongSetting`."""
    try:
        return model_provider(setting("MODEL", "") or None)[1]
    except ModelError as error:
        raise WrongSetting(f"MODEL cannot be used: {error}") from None


def services() -> Services:
    """What the activities work with. Nothing is asked to answer yet. Raises `WrongSetting`."""
    kept = database()
    host, port = _host_and_port("SMTP_ADDRESS", setting("SMTP_ADDRESS", "127.0.0.1:25"))
    return Services(kept, Shop(kept), Mail(host, port), Webhook(_webhook()), _reports())


def database() -> Database:
    """Raises `WrongSetting`."""
    try:
        found = Database(setting("DATABASE_URL", "sqlite:///desk.db"))
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise WrongSetting(
            f"DATABASE_URL names no database that can be used: {error}. Write it as SQLAlchemy does, such as "
            "sqlite:///desk.db, and install the driver that it names."
        ) from None
    if found.in_memory:
        raise WrongSetting(
            "DATABASE_URL names a database in memory, which would be gone with the worker: name a file, such as "
            "sqlite:///desk.db."
        )
    return found


def metrics() -> PrometheusConfig | None:
    """Where to serve metrics, if anywhere. Raises `WrongSetting`."""
    if address := setting("METRICS_ADDRESS", ""):
        return metrics_at("{}:{}".format(*_host_and_port("METRICS_ADDRESS", address)))
    return None


def traces() -> str | None:
    """Where to send traces, if anywhere. Raises `WrongSetting`."""
    url = setting("TRACES_URL", "")
    try:
        return traces_url(url) if url else None
    except ValueError as error:
        raise WrongSetting(f"TRACES_URL is wrong. {error}") from None


def _host_and_port(name: str, address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        more = parts.path.strip("/") or " " in address
        if parts.hostname and parts.port and not more:
            return parts.hostname, parts.port
    except ValueError:  # a port that is no number, a bracket that is not closed
        pass
    raise WrongSetting(f"{name} is {address!r}: write it as host:port.")


def _webhook() -> str:
    url = setting("WEBHOOK_URL", "http://127.0.0.1:8080/")
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return url
    except ValueError:
        pass
    raise WrongSetting(
        f"WEBHOOK_URL is {url!r}: write a URL that begins with http:// or https://."
    )


def _reports() -> Path:
    folder = Path(setting("REPORTS", "reports"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise WrongSetting(
            f"REPORTS is {str(folder)!r}, and no report can be written there: {error.strerror}. Name a folder that "
            "this user may write to."
        ) from None
