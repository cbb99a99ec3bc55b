"""The servers of `network.Network`, in one process: `internet.py FOLDER`, in the namespace of the internet.

FOLDER contains the certificate (`leaf.pem`, `leaf.key`) and the files that http://packages.test and https serve (`pages`).
"""

import asyncio
import functools
import http.server
import pathlib
import socketserver
import ssl
import struct
import sys
import threading

import network

FOLDER = pathlib.Path(sys.argv[1])


class Files(http.server.SimpleHTTPRequestHandler):
    """The package server."""

    protocol_version = "HTTP/1.1"


class Portal(http.server.BaseHTTPRequestHandler):
    """The pages for captive-portal detection."""

    def do_GET(self):
        """Answers with an empty body, as the agent expects."""
        self.send_response(204)
        self.end_headers()


class Server(http.server.ThreadingHTTPServer):
    """Serves without looking up its own name first, which no name server in this namespace can answer."""

    def server_bind(self):
        """Binds the socket and does nothing else."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address


def serve(address, port, handler, tls=None):
    """Serves HTTP in a thread of its own."""
    server = Server((address, port), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


class Resolver(asyncio.DatagramProtocol):
    """A name server with the names of the run only."""

    def connection_made(self, transport):
        """Stores the transport for the answers."""
        self.transport = transport

    def datagram_received(self, data, addr):
        """Answers one query."""
        self.transport.sendto(answer(data), addr)


def answer(query):
    """The answer to a query with one question."""
    labels, position = [], 12
    while query[position]:
        labels.append(query[position + 1:position + 1 + query[position]].decode("ascii", "replace").lower())
        position += 1 + query[position]
    question = query[12:position + 5]
    (kind,) = struct.unpack("!H", query[position + 1:position + 3])
    address = network.NAMES.get(".".join(labels))
    records = b""
    if address and kind == 1:
        numbers = bytes(int(part) for part in address.split("."))
        records = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + numbers
    status = 0 if address else 3
    return query[:2] + struct.pack("!HHHHH", 0x8180 | status, 1, 1 if records else 0, 0, 0) + question + records


async def pump(reader, writer):
    """Copies one direction of a connection until its end."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (OSError, ssl.SSLError):
        writer.close()


async def relay(reader, writer):
    """Hands what comes over TLS to the lab."""
    host, port = network.LAB.split(":")
    try:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
    for end in (inner_writer, writer):
        end.close()


async def anchor(reader, writer):
    """Has proved itself by the handshake, and waits for the client to leave."""
    try:
        await reader.read(1)
    except (OSError, ssl.SSLError):
        pass
    writer.close()


async def main():
    """Starts all servers and serves until it is killed."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(FOLDER / "leaf.pem", FOLDER / "leaf.key")
    files = functools.partial(Files, directory=str(FOLDER / "pages"))
    serve(network.NAMES["packages.test"], 80, files)
    serve(network.NAMES["packages.test"], 443, files, tls)
    for name in ("connectivitycheck.gstatic.com", "cp.cloudflare.com"):
        serve(network.NAMES[name], 80, Portal)
    for address in network.ANCHORS:
        await asyncio.start_server(anchor, address, 443, ssl=tls)
    await asyncio.start_server(relay, network.NAMES["function.test"], 443, ssl=tls)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Resolver, local_addr=(network.RESOLVER, 53))
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
