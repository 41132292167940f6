"""HTTP/2 by hand, with the standard library alone: what no well-behaved client sends, and calls simple enough to count on."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A header field without indexing, its name by number in the static table or spelled out."""
    if isinstance(name, int):
        head = bytes([name]) if name < 15 else bytes([15, name - 15])
    else:
        head = bytes([0, len(name)]) + name
    return head + bytes([len(value)]) + value


def headers(path, *more):
    """The headers of a gRPC call, and more of them."""
    usual = literal(4, path) + literal(1, b"localhost") + literal(31, b"application/grpc") + literal(b"te", b"trailers")
    return b"\x83\x86" + usual + b"".join(literal(*one) for one in more)


def message(body, packed=False):
    return bytes([packed]) + struct.pack(">I", len(body)) + body


def data(stream, body):
    """The frames of a body that is sent whole."""
    pieces = [body[at : at + 16384] for at in range(0, len(body), 16384)] or [b""]
    frames = [frame(DATA, 0, stream, piece) for piece in pieces[:-1]]
    return b"".join(frames) + frame(DATA, END_STREAM, stream, pieces[-1])


CHECK = b"/grpc.health.v1.Health/Check"
WATCH = b"/grpc.health.v1.Health/Watch"
PREDICT = b"/tandem.v1.PredictionService/Predict"
STREAM = b"/tandem.v1.PredictionService/PredictStream"


class Connection:
    """One connection; reads frames and answers PING and SETTINGS as a client must."""

    def __init__(self, address, timeout=60, wrap=None):
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if wrap:
            self.socket = wrap(self.socket)
        self.socket.sendall(PREFACE + frame(SETTINGS))
        self.buffer = b""
        self.next_stream = 1
        self.last_taken = None
        self.last_message = b""

    def read(self):
        """The next frame: kind, flags, stream, payload; none at the end."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            try:
                chunk = self.socket.recv(65536)
            except OSError:
                chunk = b""
            if not chunk:
                return None
            self.buffer += chunk
        size = int.from_bytes(self.buffer[:3], "big")
        kind, flags = self.buffer[3], self.buffer[4]
        stream = int.from_bytes(self.buffer[5:9], "big")
        payload, self.buffer = self.buffer[9 : 9 + size], self.buffer[9 + size :]
        if kind in (SETTINGS, PING) and not flags & ACK:
            self.send(frame(kind, ACK, 0, payload if kind == PING else b""))
        if kind == DATA and payload:
            self.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload))))
        if kind == GOAWAY:
            self.last_taken = int.from_bytes(payload[:4], "big")
        return kind, flags, stream, payload

    def send(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError:
            pass

    def start(self, path, body, packed=False):
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        more = [(b"grpc-encoding", b"gzip")] if packed else []
        self.send(frame(HEADERS, END_HEADERS, stream, headers(path, *more)) + data(stream, message(body, packed)))
        return stream

    def call(self, path, body=b"", packed=False):
        """'answered'; 'refused' if the server said that it did not take the call; 'failed' with a status; 'lost' otherwise."""
        stream = self.start(path, body, packed)
        got_message = False
        while True:
            found = self.read()
            if found is None:
                taken = self.last_taken is None or stream <= self.last_taken
                return "lost" if taken else "refused"
            kind, flags, of, payload = found
            if of != stream:
                continue
            if kind == DATA and payload:
                got_message = True
                self.last_message = payload
            if kind == RST_STREAM:
                return "refused" if payload == b"\0\0\0\7" else "lost"
            if flags & END_STREAM and kind in (DATA, HEADERS):
                return "answered" if got_message else "failed"
