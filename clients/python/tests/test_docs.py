"""The examples of the pages for Python, with the package and with grpcio: each runs, and prints what the page says."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import unittest

from support import ROOT, Server, certificates, keys, patient, run, scratch, shared

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

        sys.path.insert(0, str(cls.folder))
        cls.addClassCleanup(sys.path.remove, str(cls.folder))
        # The pages name files without a folder.
        cls.addClassCleanup(os.chdir, os.getcwd())
        os.chdir(cls.folder)

    def run_page(self, name, least):
        blocks = BLOCK.findall((ROOT / "docs" / name).read_text(encoding="utf-8"))
        seen = 0
        for (language, script), (_, printed) in zip(blocks, [*blocks[1:], ("", "")]):
            if language != "python":
                continue
            for written, meant in self.addresses.items():
                script = script.replace(written, meant)
            script = patient(script)
            out = io.StringIO()
            with contextlib.redirect_stdout(out), self.subTest(page=name, script=script):
                exec(compile(script, name, "exec"), {"__name__": "__main__", "run": run})
                self.assertEqual(out.getvalue(), printed)
            seen += 1
        self.assertGreaterEqual(seen, least)

    def test_the_pages_of_the_package(self):
        self.run_page("clients-python.md", 5)
        self.run_page("clients-python-production.md", 4)

    def test_the_pages_of_grpcio(self):
        self.run_page("clients-grpcio.md", 4)
        self.run_page("clients-grpcio-production.md", 4)


if __name__ == "__main__":
    unittest.main()
