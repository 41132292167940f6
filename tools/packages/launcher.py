"""Starts Tandem's program with the ONNX Runtime of the package `onnxruntime`, which is installed beside this one."""

import importlib.util
import os
import sys
from pathlib import Path

VERSION = "@ONNXRUNTIME@"


def library():
    """The path of ONNX Runtime's library. The package is only looked for: it is not imported, which would take a while."""
    spec = importlib.util.find_spec("onnxruntime")
    for folder in spec.submodule_search_locations or [] if spec else []:
        path = Path(folder, "capi", f"libonnxruntime.so.{VERSION}")
        if path.is_file():
            return str(path)
    sys.exit(f"tandem: there is no libonnxruntime.so.{VERSION}: pip install onnxruntime=={VERSION}, or set ORT_DYLIB_PATH")


def main():
    if not os.environ.get("ORT_DYLIB_PATH"):
        os.environ["ORT_DYLIB_PATH"] = library()
    # The program takes the place of Python: signals, exit codes and memory are its own.
    program = str(Path(__file__).resolve().parent / "tandem")
    os.execv(program, ["tandem", *sys.argv[1:]])


if __name__ == "__main__":
    main()
