"""Triton Inference Server with its Python backend and dynamic batching. The program is the one in NVIDIA's package
nvidia-pytriton, which has no backend for ONNX Runtime: that one is in Triton's container alone.
"""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFIG = """\
name: "texts"
backend: "python"
max_batch_size: 32
input { name: "text" data_type: TYPE_STRING dims: [ 1 ] }
output { name: "label" data_type: TYPE_STRING dims: [ 1 ] }
output { name: "confidence" data_type: TYPE_FP32 dims: [ 1 ] }
instance_group { kind: KIND_CPU count: 1 }
dynamic_batching { }
"""


def lay(place: Path, packages: Path) -> None:
    """The model repository, and the backend with the stub of this Python beside it, which is where Triton looks."""
    version = place / "models/texts/1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(CONFIG)
    shutil.copy(HERE / "triton_model.py", version / "model.py")
    shutil.copy(HERE / "classifier.py", version)
    server = packages / "pytriton/tritonserver"
    stub = f"{sys.version_info.major}.{sys.version_info.minor}/triton_python_backend_stub"
    shutil.copytree(server / "backends", place / "backends")
    shutil.copy(server / "python_backend_stubs" / stub, place / "backends/python")


def main() -> None:
    packages = Path(sys.prefix) / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    place = Path("triton").resolve()
    shutil.rmtree(place, ignore_errors=True)
    lay(place, packages)
    # The stub takes the packages of the first python3 in PATH.
    os.environ["PATH"] = f"{sys.prefix}/bin:{os.environ['PATH']}"
    os.environ["LD_LIBRARY_PATH"] = f"{packages / 'nvidia_pytriton.libs'}:{sys.base_prefix}/lib"
    settings = {
        "model-repository": place / "models",
        "backend-directory": place / "backends",
        "http-address": "127.0.0.1",
        "http-port": os.environ["PORT"],
        "http-thread-count": 2,
        "allow-grpc": False,
        "allow-metrics": False,
    }
    program = packages / "pytriton/tritonserver/bin/tritonserver"
    os.chmod(program, 0o755)
    os.execv(program, [str(program), *(f"--{name}={value}" for name, value in settings.items())])


if __name__ == "__main__":
    main()
