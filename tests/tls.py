"""TLS for tests: certificates of one's own, real servers that speak it, and a door in front of one.

Few servers that come in wheels were built with TLS. `Door` ends it in front of any server, as a
proxy of a cloud service does, so that the client's side is tested everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from pathlib import Path
from typing import Any

import trustme
from closing import Closing
from clusters import HOST, free_ports

from redisjson_dict.server import Binary, Server

__all__ = ["Certificates", "Door", "tls_server"]


class Certificates:
    """An authority, a certificate for a server on this machine and one for a client, as files."""

    def __init__(self, folder: Path, *names: str) -> None:
        self._folder = folder
        self.authority = trustme.CA()
        self.ca = self._write("ca", self.authority.cert_pem)
        server = self.authority.issue_cert(*(names or (HOST, "localhost")))
        self.server_key = self._write("server-key", server.private_key_pem)
        self.server = self._write("server", *server.cert_chain_pems)
        client = self.authority.issue_cert("client@example.org")
        self.client_key = self._write("client-key", client.private_key_pem)
        self.client = self._write("client", *client.cert_chain_pems)

    def context(self, *, clients: bool) -> ssl.SSLContext:
        """Return a server's context that asks for a client's certificate, or not."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server, self.server_key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED if clients else ssl.CERT_NONE
        return context

    def _write(self, name: str, *blobs: trustme.Blob) -> str:
        place = self._folder / f"{name}.pem"
        for number, blob in enumerate(blobs):
            blob.write_to_path(str(place), append=number > 0)
        return str(place)


def tls_server(
    certificates: Certificates, binary: Binary, *, clients: bool = False, **options: str
) -> tuple[Server, int]:
    """Start a server that listens on a private Unix socket, and with TLS on a port.

    Raises:
        ServerError: it was built without TLS, as its last words say.
    """
    (port,) = free_ports(1)
    files = {
        "tls_cert_file": certificates.server,
        "tls_key_file": certificates.server_key,
        "tls_ca_cert_file": certificates.ca,
        "tls_auth_clients": "yes" if clients else "no",
    }
    return Server(binary=binary, tls_port=str(port), **files, **options), port


class Door(Closing):
    """A port that speaks TLS and passes what it hears to a server on a Unix socket or a port."""

    def __init__(self, certificates: Certificates, url: str, *, clients: bool = False) -> None:
        self._context = certificates.context(clients=clients)
        self._url = url
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, context: None)  # handshakes that fail
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listening = self._loop.run_until_complete(
            asyncio.start_server(self._serve, HOST, 0, ssl=self._context)
        )
        self.port: int = self._listening.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._listening.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        place = self._url.partition("://")[2]
        if self._url.startswith("unix"):
            inner, outer = await asyncio.open_unix_connection(place)
        else:
            inner, outer = await asyncio.open_connection(HOST, int(place.rpartition(":")[2]))
        try:
            with contextlib.suppress(OSError, ssl.SSLError):
                await asyncio.wait(
                    [
                        asyncio.ensure_future(_copy(reader, outer)),
                        asyncio.ensure_future(_copy(inner, writer)),
                    ],
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            for end in (outer, writer):
                end.transport.abort()
            self._tasks.discard(task)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
