"""A service that has Tandem read what comes in: `python3 service.py PORT TANDEM_ADDRESS`, then POST a text to /.

What matters in it: one client for the whole process, a deadline for each call, and an answer of the service's own where Tandem has none.
"""

import http.server
import json
import sys

from tandem_text import Client, InvalidArgument, TandemError

# Tries again by itself where a queue is full or no server is there. The usual 4 retries are over after 1.5 s, less than a restart
# takes; so many that the deadline comes first.
client = Client(sys.argv[2], retries=10)
DEADLINE_S = 10


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        try:
            found = client.predict(text, timeout=DEADLINE_S)
            self.answer(200, {"label": found.label, "confidence": round(found.confidence, 3)})
        except InvalidArgument as error:
            self.answer(400, {"error": str(error)})
        except TandemError as error:
            self.answer(503, {"error": type(error).__name__})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Silent: a text belongs into no log."""


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
