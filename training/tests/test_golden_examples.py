"""Golden examples of somebody else's model: what the library says, and a manifest that names it."""

import importlib.util
import json
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path
from unittest.mock import patch

from tandem_training.golden_examples import main, name_in_manifest, texts_of
from tandem_training.golden_settings import Settings
from tandem_training.golden_file import read_jsonl
from tandem_training.golden_texts import TRICKY

MANIFEST = """# by hand
schema_version = 1
name = "reviews"
labels = ["bad", "good"]

[onnx]
file = "model.onnx"  # the export
input = "text"
output = "probabilities"
output_kind = "probabilities"

[golden]
file = "old.jsonl"
source = "onnxruntime"
logit_tolerance = 1.0
batched_logit_tolerance = 1.0

[preprocess]
kind = "string"
max_bytes = 64

[files]
"model.onnx" = "00"
"old.jsonl" = "11"
"golden.jsonl" = "22"

[metrics]
accuracy = 0.5
"""
LIBRARIES = all(importlib.util.find_spec(name) for name in ("sklearn", "skl2onnx", "joblib", "onnxruntime"))


class InTheManifest(unittest.TestCase):
    def test_only_golden_and_its_checksum_change(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "manifest.toml").write_text(MANIFEST, encoding="utf-8")
            (folder / "golden.jsonl").write_text("{}\n", encoding="utf-8")
            name_in_manifest(folder, "scikit-learn", 1e-4)
            text = (folder / "manifest.toml").read_text(encoding="utf-8")
        old, new = tomllib.loads(MANIFEST), tomllib.loads(text)
        self.assertIn("# by hand", text)
        self.assertIn("# the export", text)
        self.assertEqual(list(new["files"]), ["model.onnx", "golden.jsonl"])
        self.assertEqual(len(new["files"].pop("golden.jsonl")), 64)
        self.assertEqual(new.pop("golden")["source"], "scikit-learn")
        for key in ("golden", "files"):
            old.pop(key)
        new.pop("files")
        self.assertEqual(new, old)

    def test_a_text_is_cut_as_the_server_cuts_it(self):
        settings = Settings.of(tomllib.loads(MANIFEST))
        self.assertEqual(settings.cut("가" * 30), "가" * 21)
        self.assertEqual(settings.cut("short"), "short")

    def test_without_a_file_the_texts_are_the_tricky_ones(self):
        self.assertEqual(texts_of([]), list(dict.fromkeys(TRICKY)))


@unittest.skipUnless(LIBRARIES, "scikit-learn and skl2onnx are not installed")
class FromScikitLearn(unittest.TestCase):
    TEXTS = ["good film", "film, film, film: bad", "좋은 영화", "", "good " * 40]

    def run_command(self, folder: Path, vectorizer: dict, *more: str) -> None:
        import joblib
        import onnx
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import StringTensorType
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        pipeline = make_pipeline(TfidfVectorizer(**vectorizer), LogisticRegression())
        pipeline.fit(["good film", "좋은 영화", "bad film film", "나쁜 영화"], ["good", "good", "bad", "bad"])
        options = {id(pipeline[0]): {"tokenexp": r"[\pL\pN_][\pL\pN_]+", "locale": "C.UTF-8"}, id(pipeline[1]): {"zipmap": False}}
        types = [("text", StringTensorType([None, 1]))]
        onnx.save(to_onnx(pipeline, initial_types=types, options=options, target_opset={"": 17, "ai.onnx.ml": 3}), folder / "model.onnx")
        joblib.dump(pipeline, folder / "pipeline.joblib")
        (folder / "manifest.toml").write_text(MANIFEST, encoding="utf-8")
        (folder / "texts.txt").write_text("\n".join(self.TEXTS), encoding="utf-8")
        arguments = [str(folder), "--scikit-learn", str(folder / "pipeline.joblib"), "--texts", str(folder / "texts.txt"), *more]
        with patch.object(sys, "argv", ["golden_examples", *arguments]):
            main()

    def test_the_examples_are_the_pipelines_answers(self):
        with tempfile.TemporaryDirectory() as name:
            self.run_command(Path(name), {})
            rows = read_jsonl(Path(name) / "golden.jsonl")
        self.assertEqual([row["text"] for row in rows], [text for text in self.TEXTS if text])
        self.assertGreater(rows[0]["probabilities"][1], 0.5)
        self.assertTrue(rows[-1]["truncated"])
        self.assertFalse(rows[0]["truncated"])

    def test_an_export_that_answers_otherwise_is_named_and_can_be_left_out(self):
        with tempfile.TemporaryDirectory() as name:
            with self.assertRaisesRegex(SystemExit, "1 of 4 texts otherwise than scikit-learn.*film, film"):
                self.run_command(Path(name), {"sublinear_tf": True})
            self.run_command(Path(name), {"sublinear_tf": True}, "--leave-out-differing")
            texts = [json.loads(line)["text"] for line in (Path(name) / "golden.jsonl").read_text().splitlines()]
        self.assertNotIn(self.TEXTS[1], texts)
        self.assertEqual(len(texts), 3)


if __name__ == "__main__":
    unittest.main()
