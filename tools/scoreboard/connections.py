"""Connections that are silent, slow, half open or too many: what they cost, and whether a new client gets in meanwhile."""

import contextlib
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from h2raw import CHECK, END_HEADERS, HEADERS, PREDICT, Connection, frame, headers
from marks import judged
from server import Server


def check(address, wrap=None):
    """How long a new client waits for an answer, in milliseconds."""
    started = time.monotonic()
    outcome = Connection(address, wrap=wrap).call(CHECK)
    assert outcome == "answered", outcome
    return (time.monotonic() - started) * 1000


def closed_after(peers, started):
    """How many of them the server has closed, and when the last."""
    closed = 0
    for peer in peers:
        peer.settimeout(30)
        with contextlib.suppress(ConnectionError):
            while peer.recv(4096):
                pass
        closed += 1
    return closed, time.monotonic() - started


def silent(options):
    """2,000 silent TCP connections: all closed in 10 s, a new client served within 100 ms."""
    count = 200 if options.short else 2000
    with Server(options.program, "--max-connections", str(count // 2)) as server:
        started = time.monotonic()
        peers = [socket.create_connection(server.grpc) for _ in range(count)]
        waited = max(check(server.grpc) for _ in range(5))
        closed, took = closed_after(peers, started)
    told = f"{closed} of {count} closed after {took:.1f} s, new client served in {waited:.0f} ms"
    return judged(options, told, [("all closed", closed == count)], [("in 10 s", took <= 10), ("a new client within 100 ms", waited <= 100)])


def certificates(folder):
    """`ca.pem`, and a certificate that it signed with its key: `cert.pem`, `key.pem`."""
    with open(f"{folder}/names", "w") as names:
        names.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl = lambda *args: subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=scoreboard", "-days", "2")
    certificate(folder)


def certificate(folder, name="cert"):
    """A new pair, signed by the authority of the folder, each file put in its place whole."""
    openssl = lambda *args: subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    key = "key" if name == "cert" else f"{name}-key"
    openssl("req", *new_key, "-keyout", "new.key", "-out", "new.csr", "-subj", "/CN=localhost")
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "1"]
    openssl("x509", "-req", "-in", "new.csr", "-out", "new.pem", *signing)
    subprocess.run(["mv", "new.key", f"{key}.pem"], cwd=folder, check=True)
    subprocess.run(["mv", "new.pem", f"{name}.pem"], cwd=folder, check=True)


def stalled_tls(options):
    """2,000 silent TCP and 500 stalled TLS connections: all closed in 10 s, a new client served within 100 ms."""
    silent_count, stalled_count = (150, 50) if options.short else (2000, 500)
    with tempfile.TemporaryDirectory() as folder:
        certificates(folder)
        flags = ["--tls-cert", f"{folder}/cert.pem", "--tls-key", f"{folder}/key.pem", "--max-connections"]
        with Server(options.program, *flags, str((silent_count + stalled_count) // 2)) as server:
            trust = ssl.create_default_context(cafile=f"{folder}/ca.pem")
            trust.set_alpn_protocols(["h2"])
            wrap = lambda plain: trust.wrap_socket(plain, server_hostname="localhost")
            started = time.monotonic()
            peers = [socket.create_connection(server.grpc) for _ in range(silent_count)]
            for _ in range(stalled_count):
                peer = socket.create_connection(server.grpc)
                # Half a ClientHello, and then nothing.
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                hello = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
                with contextlib.suppress(ssl.SSLWantReadError):
                    hello.do_handshake()
                said = outgoing.read()
                with contextlib.suppress(ConnectionError):
                    peer.sendall(said[: len(said) // 2])
                peers.append(peer)
            waited = max(check(server.grpc, wrap) for _ in range(5))
            closed, took = closed_after(peers, started)
    total = silent_count + stalled_count
    told = f"{closed} of {total} closed after {took:.1f} s, the slowest of five new TLS clients served in {waited:.0f} ms"
    return judged(options, told, [("all closed", closed == total)], [("in 10 s", took <= 10), ("a new client within 100 ms", waited <= 100)])


def half_open(options):
    """50,000 half-open streams on one connection: at most +10 MB."""
    count = 2000 if options.short else 50_000
    with Server(options.program) as server:
        check(server.grpc)
        before = server.memory_mb()
        connection = Connection(server.grpc)
        reader = threading.Thread(target=lambda: [None for _ in iter(connection.read, None)], daemon=True)
        reader.start()
        for stream in range(1, 2 * count, 2):
            connection.send(frame(HEADERS, END_HEADERS, stream, headers(PREDICT)))
        after = max(server.memory_mb() for _ in range(20) if not time.sleep(0.05))
        waited = check(server.grpc)
    told = f"{count} streams: {after - before:+.1f} MB, new client served in {waited:.0f} ms"
    return judged(options, told, [], [("at most +10 MB", after - before <= 10)])


def slow_headers(options):
    """200 connections with slow headers on the gateway: none held over 15 s."""
    count = 20 if options.short else 200
    flags = ["--header-timeout", "1s"] if options.short else []
    with Server(options.program, *flags) as server:
        started = time.monotonic()
        peers = [socket.create_connection(server.http) for _ in range(count)]
        for peer in peers:
            peer.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
            peer.setblocking(False)
        held = 0.0
        while peers and time.monotonic() - started < 60:
            time.sleep(0.25)
            for peer in list(peers):
                try:
                    if not peer.recv(4096):
                        raise ConnectionError
                except BlockingIOError:
                    pass
                except ConnectionError:
                    held = time.monotonic() - started
                    peers.remove(peer)
                    continue
                with contextlib.suppress(OSError):
                    peer.send(b"a")
    told = f"{count - len(peers)} of {count} closed, the last after {held:.1f} s"
    return judged(options, told, [("all closed", not peers)], [("none held over 15 s", held <= 15)])


def descriptors(options):
    """File descriptors exhausted for 10 s: CPU at most 5 %, back within 1 s."""
    lasts = 1 if options.short else 10
    with Server(options.program, "--handshake-timeout", "10m", files=128) as server:
        peers = [socket.create_connection(server.grpc) for _ in range(200)]
        time.sleep(0.3)
        before = server.cpu_seconds()
        time.sleep(lasts)
        cpu = (server.cpu_seconds() - before) / lasts * 100
        for peer in peers:
            peer.close()
        back = check(server.grpc)
        lines = sum("can't accept" in line for line in server.lines)
    told = f"{cpu:.1f} % of a core, back after {back:.0f} ms, {lines} lines in the log"
    return judged(options, told, [("told in the log", lines > 0)], [("at most 5 %", cpu <= 5), ("back within 1 s", back <= 1000)])


ROWS = [silent, stalled_tls, half_open, slow_headers, descriptors]
