"""Writes the folders under tests/data/hugging_face/: what exporters leave behind, with what transformers answers.

    python -m venv venv && venv/bin/pip install -r tools/hugging_face/requirements.txt
    venv/bin/python tools/hugging_face/make_fixtures.py [FOLDER]

The weights are random, so the answers mean nothing; that a server gives the same ones does.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from optimum.exporters.onnx import main_export

import families
from families import FAMILIES, Family, Size

ROOT = Path(__file__).resolve().parents[2]
TINY = Size(vocabulary=320, hidden=16, layers=2, positions=24)
KEPT = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def reviews(count: int) -> list[str]:
    rows = (ROOT / "tests/data/reviews.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [row.split("\t")[2] for row in rows[:count]]


def export(family: Family, texts: list[str], size: Size, target: Path):
    """Builds the family's model and exports it, in the layout that its kind is often found in."""
    tokenizer, model = families.build(family, texts, size)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        trained, exported = Path(scratch, "trained"), Path(scratch, "exported")
        model.save_pretrained(trained)
        tokenizer.save_pretrained(trained)
        main_export(str(trained), exported, task="text-classification", do_validation=False)
        for file in KEPT:
            if (exported / file).is_file():
                shutil.copy(exported / file, target / file)
        arrange(family, exported / "model.onnx", target)
    return tokenizer, model


def arrange(family: Family, exported: Path, target: Path) -> None:
    graph = onnx.load(exported)
    if family.name == "roberta":
        (target / "onnx").mkdir()
        onnx.save(graph, target / "onnx/model.onnx")
        quantize_dynamic(exported, target / "onnx/model_quantized.onnx", weight_type=QuantType.QInt8)
    elif family.name == "xlm-roberta":
        onnx.save(graph, target / "model.onnx", save_as_external_data=True, location="model.onnx_data", size_threshold=1024)
    else:
        onnx.save(graph, target / "model.onnx")


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/data/hugging_face"
    corpus = reviews(400) + ["The film was good, the story was not.", "A fine day to watch a bad film!"] * 20
    for family in FAMILIES:
        folder = target / family.name
        # A layer of DeBERTa's attention is many nodes.
        size = dataclasses.replace(TINY, layers=1) if family.name == "deberta" else TINY
        tokenizer, model = export(family, corpus, size, folder)
        texts = families.some_texts(reviews(200), 24, seed=3)
        pairs = families.some_texts(reviews(200), 24, seed=5)[::-1] if family.pairs else [None] * len(texts)
        expected = [families.answer(family, tokenizer, model, *both) for both in zip(texts, pairs, strict=True)]
        lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in expected)
        (folder / "expected.jsonl").write_text(lines, encoding="utf-8")
        total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{family.name}: {total // 1024} KiB, labels {sorted({line.get('label', '-') for line in expected})}")


if __name__ == "__main__":
    main()
