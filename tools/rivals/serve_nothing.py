"""Reads a request and answers an empty list: the most that the client and the loopback can do, a line beside the rivals."""

import asyncio
import os
import re

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"
LENGTH = re.compile(rb"content-length: *(\d+)", re.I)


class Nothing(asyncio.Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport, self.read = transport, b""

    def data_received(self, data: bytes) -> None:
        self.read += data
        head = self.read.find(b"\r\n\r\n")
        found = LENGTH.search(self.read, 0, head) if head >= 0 else None
        if head >= 0 and len(self.read) >= head + 4 + (int(found[1]) if found else 0):
            self.read = b""
            self.transport.write(ANSWER)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Nothing, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
