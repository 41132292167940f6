"""Writes src/model/discover/tokenizer_classes.json: what each tokenizer class of transformers does to tokenizer.json.

    venv4/bin/python tools/hugging_face/classes.py   # transformers 4
    venv5/bin/python tools/hugging_face/classes.py   # transformers 5, another environment

Each run renews the part of its own major version, read from the classes themselves: which class a family of models has, the
defaults of its settings, and which steps its constructor sets anew.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import transformers
from transformers.models.auto import tokenization_auto as auto

TARGET = Path(__file__).resolve().parents[2] / "src/model/discover/tokenizer_classes.json"
MAJOR = transformers.__version__.split(".")[0]
# Settings and special tokens that change ids; the others change how ids become text again, or nothing.
SETTINGS = {"do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space", "add_bos_token", "add_eos_token", "keep_accents", "split_by_punct"}
TOKENS = {f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")}


def constructor(cls: type) -> type:
    return next(base for base in cls.__mro__ if "__init__" in base.__dict__)


def described(cls: type) -> dict:
    """A class, in the words of tokenizer_overrides.rs."""
    found = {}
    for base in reversed(cls.__mro__):
        if "__init__" in base.__dict__:
            found.update(inspect.signature(base.__init__).parameters)
    owner = constructor(cls)
    source = inspect.getsource(owner.__init__)
    told = {"token_types": "token_type_ids" in cls.model_input_names}
    defaults = {name: value.default for name, value in found.items() if name in SETTINGS | TOKENS}
    defaults = {name: value if isinstance(value, (bool, str)) else None for name, value in defaults.items()}
    if defaults := {name: value for name, value in defaults.items() if value is not None}:
        told["defaults"] = defaults
    if MAJOR == "4":
        if fields := sorted(set(re.findall(r'state\["(lowercase|strip_accents|handle_chinese_chars)"\] = ', source))):
            told["normalizer"] = fields
        if "update_post_processor()" in source:
            told["bos_eos"] = True
        if "AddedToken(mask_token, lstrip=True" in source:
            told["mask_takes_space"] = True
        if "src_lang" in source or "PreTokenizer.custom" in source:
            told["more"] = True
        if 'kwargs["from_slow"]' in source:
            told["from_slow"] = True
    elif owner is cls and owner.__module__.startswith("transformers.models."):
        told["built_as"] = owner.__name__
    return told


def class_named(name: str) -> type | None:
    """The class that reads tokenizer.json; none for those that are written in Python, or are not there."""
    try:
        if MAJOR == "4":
            return auto.tokenizer_class_from_name(name + "Fast")
        found = auto.tokenizer_class_from_name(name) or auto.tokenizer_class_from_name(name + "Fast")
        return found if found is None or issubclass(found, auto.TokenizersBackend) else None
    except (ImportError, ValueError):
        return None


def main() -> None:
    families, names = {}, {"PreTrainedTokenizer"}
    for family, classes in auto.TOKENIZER_MAPPING_NAMES.items():
        listed = [name for name in (classes if isinstance(classes, tuple) else (classes,)) if name]
        names.update(name.removesuffix("Fast") for name in listed)
        if listed:
            families[family] = listed[-1].removesuffix("Fast")
    table = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.is_file() else {}
    # Names of version 4 that version 5 keeps as other names for its own.
    names.update(table.get("4", {}).get("classes", {}))
    names -= {"PreTrainedTokenizer", "TokenizersBackend"} if MAJOR == "5" else set()
    classes = {name: cls and described(cls) for name in sorted(names) for cls in [class_named(name)]}
    if MAJOR == "5":
        classes |= {name: described(auto.TokenizersBackend) for name in ("PreTrainedTokenizer", "TokenizersBackend")}
    table[MAJOR] = {"families": dict(sorted(families.items())), "classes": classes}
    lines = []
    for major, part in sorted(table.items()):
        inner = []
        for key, value in part.items():
            rows = ",\n".join(f"   {json.dumps(name)}: {json.dumps(row, sort_keys=True)}" for name, row in value.items())
            inner.append(f"  {json.dumps(key)}: {{\n{rows}\n  }}")
        lines.append(f" {json.dumps(major)}: {{\n" + ",\n".join(inner) + "\n }")
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
