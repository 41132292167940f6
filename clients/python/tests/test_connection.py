"""Addresses, TLS, keys, balancing, health, servers that come and go."""

import unittest
from concurrent.futures import ThreadPoolExecutor

from support import BOUND_S, ROOT, Server, certificates, keys, run, scratch, shared

import tandem_text
from tandem_text import AsyncClient, Client
from tandem_text.connection import address

GOOD = "정말 재미있게 봤어요"
TOKEN = "known-0123456789-0123456789"


class Addresses(unittest.TestCase):
    def test_what_a_target_means(self):
        for written, target, authority in [
            ("localhost:1", "localhost:1", None),
            ("tandem", "tandem:50051", None),
            ("10.0.0.1", "10.0.0.1:50051", None),
            ("::1", "[::1]:50051", None),
            ("[::1]:7", "[::1]:7", None),
            ("10.0.0.1:1, 10.0.0.2", "ipv4:10.0.0.1:1,10.0.0.2:50051", "localhost"),
            (["10.0.0.1:1", "10.0.0.2:2"], "ipv4:10.0.0.1:1,10.0.0.2:2", "localhost"),
            (["::1", "[::2]:2"], "ipv6:[::1]:50051,[::2]:2", "localhost"),
            (["tandem:1"], "tandem:1", None),
            ("/run/tandem.sock", "unix:/run/tandem.sock", "localhost"),
            ("unix:/run/tandem.sock", "unix:/run/tandem.sock", "localhost"),
            ("dns:///tandem:1", "dns:///tandem:1", None),
            ("ipv4:10.0.0.1:1,10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2", "localhost"),
        ]:
            self.assertEqual(tuple(address(written)), (target, authority), written)

    def test_what_is_no_target_and_what_does_not_fit(self):
        for said, args, kwargs in [
            ("give host:port, and tls=True", ["https://tandem:1"], {}),
            ("give host:port", ["tandem:port"], {}),
            ("give host:port", [""], {}),
            ("there is no address", [[]], {}),
            ("a list must be of IPv4 addresses", [["one:1", "two:2"]], {}),
            ("needs server_name", [["10.0.0.1", "10.0.0.2"]], {"tls": True}),
            ("cert and key belong together", ["tandem"], {"cert": b"x"}),
            ("tls is False", ["tandem"], {"tls": False, "ca": b"x"}),
            ("holds no PEM", ["tandem"], {"ca": str(ROOT / "README.md")}),
            ("token must be", ["tandem"], {"token": "two\nlines"}),
            ("retries is -1", ["tandem"], {"retries": -1}),
            ("concurrency is 0", ["tandem"], {"concurrency": 0}),
            ("request_timeout is 0", ["tandem"], {"request_timeout": 0}),
            ("compression is 'zip'", ["tandem"], {"compression": "zip"}),
        ]:
            with self.assertRaises(ValueError) as caught:
                Client(*args, **kwargs)
            self.assertIn(said, str(caught.exception))
            self.assertNotIn("lines", str(caught.exception))


class Security(unittest.TestCase):
    def test_tls_with_certificates_of_both_sides_and_a_key(self):
        folder = certificates()
        flags = [
            "--tls-cert",
            folder / "cert.pem",
            "--tls-key",
            folder / "key.pem",
            "--tls-client-ca",
            folder / "ca.pem",
        ]
        server = Server(*flags, "--tokens-file", keys(f"known:{TOKEN}\n"), "--no-http")
        own = {"cert": str(folder / "cert.pem"), "key": (folder / "key.pem").read_bytes()}
        given = []

        def token():
            given.append(TOKEN)
            return TOKEN

        with Client(server.address, ca=str(folder / "ca.pem"), token=token, **own) as client:
            self.assertEqual(client.predict(GOOD, route="fast").label, "positive")
            self.assertEqual(len(list(client.predict_stream([GOOD] * 3, route="fast"))), 3)
            self.assertEqual(next(client.watch()), "SERVING")
            self.assertNotIn(TOKEN, repr(client) + repr(client._connection))
        self.assertGreaterEqual(len(given), 3)

        async def main():
            async with AsyncClient(server.address, ca=folder / "ca.pem", token=TOKEN, **own) as client:
                return await client.predict(GOOD, route="fast")

        self.assertEqual(run(main()).label, "positive")
        # By a name that the certificate has, over a list of addresses.
        listed = {"ca": folder / "ca.pem", "server_name": "localhost", "token": TOKEN}
        port = server.address.split(":")[1]
        with Client([server.address, f"127.0.0.2:{port}"], **listed, **own) as client:
            self.assertEqual(client.predict(GOOD, route="fast").label, "positive")

        for kwargs in (
            {"ca": folder / "ca.pem", "token": TOKEN},  # No certificate of its own.
            {"tls": True, "token": TOKEN, **own},  # Another authority.
            {"token": TOKEN},  # Plaintext.
            {"ca": folder / "ca.pem", "token": TOKEN, "server_name": "other", **own},
        ):
            with Client(server.address, retries=0, **kwargs) as client, self.assertRaises(tandem_text.Unavailable):
                client.predict(GOOD, route="fast")


class Servers(unittest.TestCase):
    def test_calls_go_to_all_addresses_of_a_list(self):
        servers = [shared("--max-texts", "4"), shared()]
        before = [server.texts() for server in servers]
        with Client([server.address for server in servers]) as client:
            client.wait_until_serving(timeout=BOUND_S)
            # The first calls go to the one that was reached first.
            for _ in range(1000):
                client.predict(GOOD, route="fast")
                if all(server.texts() > texts for server, texts in zip(servers, before)):
                    return
        self.fail("one server got all the calls")

    def test_a_server_is_waited_for_and_its_end_is_watched(self):
        path = scratch() / "door.sock"
        with Client(f"unix:{path}", retries=0) as client:
            with self.assertRaises(tandem_text.Unavailable):
                client.predict(GOOD)
            with self.assertRaises(tandem_text.DeadlineExceeded):
                client.wait_until_serving(timeout=0.3)
            with ThreadPoolExecutor() as pool, Client(str(path), retries=1000) as patient:
                waiting = pool.submit(client.wait_until_serving)
                answer = pool.submit(patient.predict, GOOD, route="fast", timeout=BOUND_S)
                server = Server("--drain-pause", "1s", address=f"unix:{path}", ready=False)
                self.assertIsNone(waiting.result())
                self.assertEqual(answer.result().label, "positive")
            statuses = client.watch("tandem.v1.PredictionService")
            self.assertEqual(next(statuses), "SERVING")
            server.terminate()
            self.assertEqual(next(statuses), "NOT_SERVING")
            for _ in statuses:
                pass
            self.assertEqual(server.process.wait(), 0)

    def test_with_health_checks_a_server_that_does_not_serve_gets_no_calls(self):
        with Client(shared().address, health_check=True) as client:
            self.assertEqual(client.predict(GOOD, route="fast").label, "positive")
            self.assertEqual(client.check("sentiment-deep"), "SERVING")
            with self.assertRaises(tandem_text.NotFound):
                client.check("unknown")
            self.assertEqual(next(client.watch("unknown")), "SERVICE_UNKNOWN")

        async def main():
            async with AsyncClient(shared().address, health_check=True) as client:
                await client.wait_until_serving("sentiment-fast")
                return await client.predict(GOOD, route="fast")

        self.assertEqual(run(main()).label, "positive")


if __name__ == "__main__":
    unittest.main()
