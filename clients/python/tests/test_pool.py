"""This package beside others that define the same messages: in any order, nothing clashes."""

import subprocess
import sys
import tempfile
import unittest
from importlib.metadata import version
from pathlib import Path

from support import ROOT, shared

PACKAGE = Path(__file__).resolve().parents[1]

SOURCES = ["tandem/v1/prediction.proto", "tandem/v1/model_service.proto"]
OURS = "import tandem_text"
#: googleapis-common-protos, grpcio-health-checking, and code that protoc made of our files.
OTHERS = """
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from tandem.v1 import prediction_pb2, model_service_pb2
assert status_pb2.Status(code=3).code == 3
assert prediction_pb2.PredictRequest(texts=["x"]).texts == ["x"]
"""
BOTH = """
with tandem_text.Client(ADDRESS) as client:
    assert client.predict("정말 재미있게 봤어요", route="fast").label == "positive"
    try:
        client.predict("x", top_k=-1)
    except tandem_text.InvalidArgument as error:
        assert error.violations[0].field == "top_k"
    else:
        raise AssertionError
raw = tandem_text._stubs.prediction_pb2.PredictResponse(predictions=[{"label": "x"}])
assert prediction_pb2.PredictResponse.FromString(raw.SerializeToString()).predictions[0].label == "x"
"""


class Pool(unittest.TestCase):
    def test_other_packages_with_the_same_messages_do_not_clash(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", f"--python_out={folder}", *SOURCES],
                check=True,
            )
            given = f"import sys\nsys.path.append({folder!r})\nADDRESS = {shared().address!r}\n"
            for order in ([OURS, OTHERS], [OTHERS, OURS]):
                script = given + "\n".join([*order, BOTH])
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
