"""Several heads on one encoder: what is written is what PyTorch computes, and mistakes are named."""

import io
import sys
import tempfile
import tomllib
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import numpy as np

try:
    import onnxruntime
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast
except ImportError as missing:  # wanted for training alone
    raise unittest.SkipTest(f"{missing.name} is not installed") from missing

from tandem_training.calibration import softmax
from tandem_training.golden_file import read_jsonl
from tandem_training.heads import check, differences, logits_of, main, pairs
from tandem_training.heads_encoder import INPUTS, Encoder, export, from_folder
from tandem_training.heads_train import Head, Row, fit, labels_of, read_texts, split
from tandem_training.manifest import to_toml

FIXTURE = Path(__file__).parents[2] / "tests" / "data" / "heads" / "two-heads" / "1"
WORDS = ["good", "bad", "film", "you", "fool"]


def tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_file=str(FIXTURE / "tokenizer.json"), model_max_length=16,
        unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
    )  # fmt: skip


def write_encoder(folder: Path, kind: type = BertForSequenceClassification) -> None:
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=160, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=16, num_labels=2, initializer_range=0.5,
    )  # fmt: skip
    kind(config).save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def write_texts(path: Path, labels: list[str], rows: int = 20) -> None:
    lines = [f"{label}\t{WORDS[at]} {'film ' * (row % 7)}{row}" for at, label in enumerate(labels) for row in range(rows)]
    path.write_text("\n".join(["label\ttext", *lines]) + "\n", encoding="utf-8")


def run(*arguments: object) -> str:
    printed = io.StringIO()
    with patch.object(sys, "argv", ["heads", *map(str, arguments)]), redirect_stdout(printed), redirect_stderr(io.StringIO()):
        main()
    return printed.getvalue()


class Written(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        write_texts(self.folder / "a.tsv", ["negative", "positive"])
        write_texts(self.folder / "b.tsv", ["clean", "toxic", "unsure"])
        self.heads = ["--head", f"first={self.folder / 'a.tsv'}", "--head", f"second={self.folder / 'b.tsv'}"]
        self.out = self.folder / "models" / "both" / "2"

    def golden(self, rows: list[dict]) -> np.ndarray:
        """The graph's numbers of all heads for the examples, each alone."""
        session = onnxruntime.InferenceSession(str(self.out / "model.onnx"), providers=["CPUExecutionProvider"])
        found = []
        for row in rows:
            ids = np.array([row["ids"]], dtype=np.int64)
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            names = {one.name for one in session.get_inputs()}
            outputs = session.run(["first", "second"], {name: value for name, value in feed.items() if name in names})
            found.append(np.concatenate(outputs, axis=1)[0])
        return np.array(found)

    def check_folder(self) -> dict:
        manifest = tomllib.loads((self.out / "manifest.toml").read_text(encoding="utf-8"))
        rows = read_jsonl(self.out / manifest["golden"]["file"])
        logits = np.array([row["logits"] for row in rows])
        self.assertEqual(logits.shape[1], 5)
        np.testing.assert_allclose(self.golden(rows), logits, atol=manifest["golden"]["logit_tolerance"])
        chances = np.array([row["probabilities"] for row in rows])
        for part, head in zip((slice(0, 2), slice(2, 5)), manifest["heads"], strict=True):
            temperature = head["calibration"]["temperature"]
            np.testing.assert_allclose(softmax(logits[:, part], temperature), chances[:, part], atol=1e-4)
        self.assertTrue(any(row["truncated"] for row in rows))
        return manifest

    def test_the_folder_holds_one_graph_and_a_table_for_each_head(self):
        write_encoder(self.folder / "encoder")
        printed = run("--encoder", self.folder / "encoder", *self.heads, "--labels", "second=toxic,clean,unsure", "--out", self.out)
        manifest = self.check_folder()
        self.assertIn("first: accuracy", printed)
        self.assertEqual((manifest["name"], manifest["version"], manifest["tier"]), ("both", "2", "deep"))
        for key in ("task", "labels", "problem_type", "calibration"):
            self.assertNotIn(key, manifest)
        self.assertNotIn("output", manifest["onnx"])
        self.assertEqual(manifest["preprocess"]["max_tokens"], 16)
        self.assertEqual([head["task"] for head in manifest["heads"]], ["first", "second"])
        self.assertEqual(manifest["heads"][0]["labels"], ["negative", "positive"])
        self.assertEqual(manifest["heads"][1]["labels"], ["toxic", "clean", "unsure"])
        self.assertEqual(manifest["heads"][1]["metrics"]["rows"], 6)
        self.assertEqual(sorted(manifest["files"]), ["golden.jsonl", "model.onnx", "tokenizer.json"])

    def test_an_encoder_without_a_classifier_is_read_by_the_mean_of_its_tokens(self):
        write_encoder(self.folder / "encoder", BertModel)
        run("--encoder", self.folder / "encoder", *self.heads, "--pooling", "mean", "--max-tokens", 12, "--out", self.out)
        self.assertEqual(self.check_folder()["preprocess"]["max_tokens"], 12)

    def test_what_does_not_fit_is_named(self):
        write_encoder(self.folder / "encoder")
        start = ["--encoder", self.folder / "encoder", "--out", self.out]
        write_texts(self.folder / "one.tsv", ["clean"])
        write_texts(self.folder / "few.tsv", ["clean", "toxic"], rows=9)
        for options, message in (
            (self.heads[:2], "--head must be given two times or more"),
            ([*self.heads, "--head", "first=x.tsv"], "the task first is there twice"),
            ([*self.heads, "--head", "Third=x.tsv"], "--head Third=x.tsv"),
            ([*self.heads, "--labels", "third=a,b"], "--labels names third"),
            ([*self.heads, "--labels", "first=a,b"], "holds the labels negative, positive, not a, b"),
            ([*self.heads[:2], "--head", f"third={self.folder / 'one.tsv'}"], "one.tsv: holds one label"),
            ([*self.heads[:2], "--head", f"third={self.folder / 'few.tsv'}"], "'clean' has 9 texts; 10 are needed"),
            ([*self.heads, "--max-tokens", "17"], "--max-tokens must be from 3 to 16"),
            ([self.heads[0], f"input_ids={self.folder / 'a.tsv'}", *self.heads[2:]], "the name of an input: input_ids"),
        ):
            with self.subTest(message), self.assertRaisesRegex(SystemExit, message):
                run(*start, *options)
        with self.assertRaisesRegex(SystemExit, "can't name a model"):
            run("--encoder", self.folder, *self.heads, "--out", self.folder / "Models" / "1")


class Parts(unittest.TestCase):
    def test_a_module_of_ones_own_is_exported_too(self):
        class Bag(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.table = torch.nn.Embedding(160, 4)

            def forward(self, ids, mask, types):
                return (self.table(ids) * mask.unsqueeze(2)).sum(1)

        torch.manual_seed(2)
        # It takes token types, and does not read them: the graph has no such input.
        encoder = Encoder(Bag(), tokenizer(), max_tokens=16, inputs=INPUTS)
        heads = {"one": torch.nn.Linear(4, 2), "two": torch.nn.Linear(4, 3)}
        trained = [Head(task, [], linear.requires_grad_(False), 1.0, {}) for task, linear in heads.items()]
        encodings = encoder.encode(["good film", "bad " * 40, ""])
        self.assertEqual([encoding.truncated for encoding in encodings], [False, True, False])
        with tempfile.TemporaryDirectory() as name:
            export(encoder, heads, Path(name) / "model.onnx")
            session = onnxruntime.InferenceSession(str(Path(name) / "model.onnx"), providers=["CPUExecutionProvider"])
            feed = {one.name: encoder.batch(encodings)[one.name] for one in session.get_inputs()}
            found = session.run(["two", "one"], feed)
            wanted = logits_of(encoder, trained, encodings)
            self.assertLess(max(differences(Path(name) / "model.onnx", encoder, trained, encodings, wanted)), 1e-5)
            off = differences(Path(name) / "model.onnx", encoder, trained, encodings, wanted + 0.06)
        self.assertEqual(sorted(feed), ["attention_mask", "input_ids"])
        with self.assertRaisesRegex(ValueError, "off from PyTorch's by 0.06"):
            check(off)
        pooled = torch.from_numpy(encoder.pooled(encodings))
        for one, task in zip(found, ("two", "one"), strict=True):
            np.testing.assert_allclose(one, heads[task](pooled).detach().numpy(), atol=1e-5)

    def test_without_its_last_layer_a_classifier_gives_what_that_layer_reads(self):
        with tempfile.TemporaryDirectory() as name:
            write_encoder(Path(name))
            encoder, whole = from_folder(name), BertForSequenceClassification.from_pretrained(name).eval()
            pooled = torch.from_numpy(encoder.pooled(encoder.encode(["good film", "bad"])))
            with torch.inference_mode():
                wanted = whole(**tokenizer()(["good film", "bad"], padding=True, return_tensors="pt", return_token_type_ids=False)).logits
                np.testing.assert_allclose(whole.classifier(pooled), wanted, atol=1e-5)

    def test_the_fit_tells_apart_what_a_line_divides_whatever_the_scale(self):
        random = np.random.default_rng(0)
        right = random.integers(0, 3, 300)
        pooled = (random.normal(size=(300, 4)) * 0.2 + np.eye(4)[right]) * [1, 1000, 0.01, 0] + [5, 0, 0, 7]
        linear = fit(pooled.astype(np.float32), right, 3)
        found = linear(torch.from_numpy(pooled.astype(np.float32))).argmax(1).numpy()
        self.assertGreater((found == right).mean(), 0.97)

    def test_the_parts_share_no_text_and_hold_each_label(self):
        rows = [Row(f"{label} {at}", label) for label, count in (("a", 10), ("b", 95)) for at in range(count)]
        parts = split(rows)
        self.assertEqual(sorted(at for part in parts for at in part), list(range(105)))
        self.assertEqual([len(part) for part in parts], [85, 10, 10])
        for part in parts:
            self.assertEqual({rows[at].label for at in part}, {"a", "b"})

    def test_a_text_counts_once_and_columns_are_found_by_name(self):
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "texts.tsv"
            path.write_text("id\tlabel\ttext\n1\ta\tone \"two\"\n2\tb\tOne  \"two\"\n3\tb\tthree\n", encoding="utf-8")
            self.assertEqual(read_texts(path), [Row('One  "two"', "b"), Row("three", "b")])
            comma = path.with_suffix(".csv")
            comma.write_text('text,label\n"one, two",a\n', encoding="utf-8")
            self.assertEqual(read_texts(comma), [Row("one, two", "a")])
            path.write_text("text\tlabel\none\n", encoding="utf-8")
            with self.assertRaisesRegex(ValueError, "line 2 has 1 columns, the header 2"):
                read_texts(path)
            path.write_text("text\tclass\none\ta\n", encoding="utf-8")
            with self.assertRaisesRegex(ValueError, "has no column 'label'"):
                read_texts(path)
        with self.assertRaisesRegex(ValueError, "holds the labels a, not a, b"):
            labels_of("x", [Row("one", "a")], ["a", "b"])

    def test_options_name_a_task_and_a_value(self):
        self.assertEqual(pairs(["a=b=c", "d=e"], "--head"), {"a": "b=c", "d": "e"})
        with self.assertRaisesRegex(ValueError, "--head a: give TASK="):
            pairs(["a"], "--head")

    def test_lists_of_tables_are_read_back(self):
        manifest = {"a": 1, "heads": [{"task": "x", "labels": ["p"], "calibration": {"t": 1.5}}, {"task": "y"}], "files": {"f.x": "0"}}
        self.assertEqual(tomllib.loads(to_toml(manifest)), manifest)


if __name__ == "__main__":
    unittest.main()
