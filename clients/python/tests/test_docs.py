"""The examples of docs/clients-python.md and docs/clients-grpcio.md: each runs, and prints what the page says."""

import os
import re
import shutil
import subprocess
import sys
import unittest

from support import BOUND_S, ROOT, Server, certificates, keys, scratch, shared

TOKEN = "known-0123456789-0123456789"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = scratch() / "docs"
        cls.folder.mkdir()
        given = certificates()
        for name, source in [("ca.pem", "ca.pem"), ("client.pem", "cert.pem"), ("client-key.pem", "key.pem")]:
            shutil.copy(given / source, cls.folder / name)
        (cls.folder / "token").write_text(TOKEN + "\n")
        tls = ["--tls-cert", given / "cert.pem", "--tls-key", given / "key.pem", "--tls-client-ca", given / "ca.pem"]
        secure = Server(*tls, "--tokens-file", keys(f"known:{TOKEN}\n"), "--no-http")
        first, second = shared().address, shared("--max-texts", "4").address
        cls.addresses = {
            "localhost:50443": f"localhost:{secure.address.rsplit(':')[-1]}",
            "localhost:50051": first,
            "127.0.0.1:50051": first,
            "127.0.0.1:50052": second,
        }
        # The command of the page.
        command = (
            "-m grpc_tools.protoc -Iproto --python_out=. --pyi_out=. --grpc_python_out=. tandem/v1/prediction.proto"
        )
        page = (ROOT / "docs/clients-grpcio.md").read_text(encoding="utf-8")
        assert command in page
        arguments = [word.replace("=.", f"={cls.folder}") for word in command.split()]
        subprocess.run([sys.executable, *arguments], check=True, cwd=ROOT)

    def run_page(self, name, least):
        blocks = BLOCK.findall((ROOT / "docs" / name).read_text(encoding="utf-8"))
        seen = 0
        for (language, script), (_, printed) in zip(blocks, [*blocks[1:], ("", "")]):
            if language != "python":
                continue
            for written, meant in self.addresses.items():
                script = script.replace(written, meant)
            path = os.pathsep.join([str(self.folder), *sys.path])
            env = {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
            ran = subprocess.run(
                [sys.executable, "-W", "ignore::ResourceWarning", "-c", script],
                cwd=self.folder,
                env=env,
                capture_output=True,
                encoding="utf-8",
                timeout=BOUND_S,
            )
            self.assertEqual((ran.returncode, ran.stdout), (0, printed), f"{name}: {script}{ran.stderr}")
            seen += 1
        self.assertGreaterEqual(seen, least)

    def test_the_page_of_the_package(self):
        self.run_page("clients-python.md", 7)

    def test_the_page_of_grpcio(self):
        self.run_page("clients-grpcio.md", 8)


if __name__ == "__main__":
    unittest.main()
