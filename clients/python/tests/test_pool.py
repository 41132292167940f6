"""This package beside others that define the same messages, in the same words or in others: nothing clashes."""

import subprocess
import sys
import tempfile
import unittest
from importlib.metadata import version
from pathlib import Path

from support import ROOT, shared

PACKAGE = Path(__file__).resolve().parents[1]
SOURCES = ["google/rpc/status", "google/rpc/error_details", "tandem/v1/prediction", "tandem/v1/model_service"]
OURS = "import tandem_text"
#: Packages that others publish.
PUBLISHED = """
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
assert status_pb2.Status(code=3).code == 3
"""
#: What the code does that somebody generated of another version of the files.
GENERATED = """
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, struct_pb2
with open(DESCRIPTORS, "rb") as file:
    others = descriptor_pb2.FileDescriptorSet.FromString(file.read()).file
for other in others:
    descriptor_pool.Default().AddSerializedFile(other.SerializeToString())
assert len(others) == 4
"""
CALLS = """
with tandem_text.Client(ADDRESS) as client:
    assert client.predict("정말 재미있게 봤어요", route="fast").label == "positive"
    try:
        client.predict("x", top_k=-1)
    except tandem_text.InvalidArgument as error:
        assert error.violations[0].field == "top_k"
    else:
        raise AssertionError
"""


class Pool(unittest.TestCase):
    def test_others_with_the_same_messages_do_not_clash(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in SOURCES:
                changed = Path(folder, "proto", f"{name}.proto")
                changed.parent.mkdir(parents=True, exist_ok=True)
                text = (ROOT / "proto" / f"{name}.proto").read_text(encoding="utf-8")
                changed.write_text(text + "\noption cc_enable_arenas = true;\n", encoding="utf-8")
            made = f"{folder}/descriptors"
            compiler = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}/proto", f"--descriptor_set_out={made}"]
            subprocess.run([*compiler, *(f"{name}.proto" for name in SOURCES)], check=True)
            given = f"DESCRIPTORS, ADDRESS = {made!r}, {shared().address!r}\n"
            for others in (PUBLISHED, GENERATED):
                for order in ([OURS, others], [others, OURS]):
                    script = given + "\n".join([*order, CALLS])
                    subprocess.run([sys.executable, "-c", script], check=True)

    def test_the_stubs_are_those_of_the_protocol_files(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, PACKAGE / "tools/stubs.py", folder], check=True)
            pins = (ROOT / "tools/requirements/grpc.txt").read_text(encoding="utf-8").splitlines()
            pinned = f"grpcio-tools=={version('grpcio-tools')}" in pins
            for made in Path(folder).iterdir():
                # Each protoc words its types a little differently; the descriptors are the same by all.
                if made.suffix == ".pyi" and not pinned:
                    continue
                kept = PACKAGE / "src/tandem_text/_stubs" / made.name
                same = made.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8")
                self.assertTrue(same, f"{made.name} is not up to date: run clients/python/tools/stubs.py")


if __name__ == "__main__":
    unittest.main()
