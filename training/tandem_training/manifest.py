"""Reads and writes manifest.toml, the file that makes a folder a model.

Tables are plain dicts in the order of the file; `seal` fills `[files]` with the SHA-256 of
every file in the folder but the manifest itself, so write the manifest last.
"""

import hashlib
import json
import subprocess
import tomllib
from datetime import UTC, datetime
from pathlib import Path

NAME = "manifest.toml"


def read_manifest(folder: str | Path) -> dict:
    """The manifest of a model folder."""
    with open(Path(folder) / NAME, "rb") as file:
        return tomllib.load(file)


def seal(folder: str | Path, manifest: dict) -> None:
    """Writes the manifest with the checksums of the files that lie in the folder now."""
    folder = Path(folder)
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != NAME)
    sealed = {key: value for key, value in manifest.items() if key != "files"}
    sealed["files"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    unfinished = folder / f".{NAME}.new"
    unfinished.write_text(to_toml(sealed), encoding="utf-8")
    unfinished.replace(folder / NAME)


def to_toml(manifest: dict) -> str:
    """Plain values first, then one table for each dict, however deep, and one for each dict of a list."""
    return "\n".join(_lines(manifest, ())) + "\n"


def _lines(table: dict, path: tuple[str, ...]) -> list[str]:
    tables = {key: value for key, value in table.items() if isinstance(value, dict) or _is_tables(value)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if key not in tables]
    for name, inner in tables.items():
        below = (*path, _key(name))
        header = ".".join(below)
        if isinstance(inner, dict):
            lines += ["", f"[{header}]", *_lines(inner, below)]
        else:
            for one in inner:
                lines += ["", f"[[{header}]]", *_lines(one, below)]
    return lines


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def training_table(command: str, data: str) -> dict:
    """`[training]`: how the model was made, for readers."""
    return {
        "command": command,
        "commit": _commit(),
        "data": data,
        "data_license": "CC0 1.0",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _commit() -> str:
    here = Path(__file__).parent
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True)
    return asked.stdout.strip() if asked.returncode == 0 else "unknown"


def _key(key: str) -> str:
    bare = all(character.isascii() and (character.isalnum() or character in "_-") for character in key)
    return key if bare else json.dumps(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        # A JSON string without escapes of its own is a TOML basic string.
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"no TOML form for {value!r}")
