"""A proxy that the environment names, and that has to hear nothing."""

import socket
import threading


class Proxy:
    """Notes the first line of whatever reaches it, and hangs up."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def variables(self, socks: bool = False) -> dict[str, str]:
        """The environment of a machine behind it, as programs and people write it; no host is excepted."""
        http, other = f"http://{self._address}", f"{'socks5' if socks else 'http'}://{self._address}"
        named = {"HTTP_PROXY": http, "HTTPS_PROXY": http, "ALL_PROXY": other, "NO_PROXY": ""}
        return named | {name.lower(): value for name, value in named.items()}

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # it was closed
            with connection:
                connection.settimeout(5)
                self.heard.append(repr(connection.recv(4096).partition(b"\r\n")[0]))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
