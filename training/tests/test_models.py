"""Calibration, metrics, the manifest's form, and the shipped fast model against plain numpy."""

import tomllib
import unittest
from pathlib import Path

import numpy as np

from tandem_training.calibration import expected_calibration_error, fit_temperature, softmax
from tandem_training.fast_weights import FastWeights
from tandem_training.golden_file import read_jsonl
from tandem_training.golden_texts import TRICKY
from tandem_training.manifest import to_toml
from tandem_training.metrics import accuracy, confusion, macro_f1
from tandem_training.model import Model

FAST = Path(__file__).parents[2] / "models" / "sentiment-fast" / "1"

class Calibration(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(0)
        scores = random.normal(0, 2, 20_000)
        self.labels = (random.random(20_000) < 1 / (1 + np.exp(-scores))).astype(int)
        self.logits = np.stack([-scores / 2, scores / 2], axis=1)

    def test_the_temperature_undoes_a_stretch(self):
        self.assertAlmostEqual(fit_temperature(self.logits * 3, self.labels), 3, delta=0.1)

    def test_the_error_is_small_only_where_the_probabilities_are_true(self):
        self.assertLess(expected_calibration_error(softmax(self.logits), self.labels), 0.01)
        self.assertGreater(expected_calibration_error(softmax(self.logits * 3), self.labels), 0.05)


class Metrics(unittest.TestCase):
    def test_a_small_case_by_hand(self):
        labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
        self.assertEqual(accuracy(labels, predicted), 0.75)
        self.assertAlmostEqual(macro_f1(labels, predicted), (2 / 3 + 4 / 5) / 2)
        self.assertEqual(confusion(labels, predicted).tolist(), [[1, 1], [0, 2]])


class ManifestForm(unittest.TestCase):
    def test_what_is_written_is_read_back(self):
        manifest = {"name": 'a "quoted" 이름\x1c', "number": 0.1, "list": ["x"], "table": {"a.b": True, "in": {"c": 3}}}
        self.assertEqual(tomllib.loads(to_toml(manifest)), manifest)


class FastModel(unittest.TestCase):
    """`tandem train` wrote it: its graph, its ids and its golden examples are what Python says too."""

    @classmethod
    def setUpClass(cls):
        cls.weights, cls.model = FastWeights.read(FAST), Model(FAST)

    def test_the_graph_agrees_with_numpy_alone_and_padded(self):
        encodings = self.model.encode(TRICKY)
        expected = np.array([self.weights.logits(encoding.ids) for encoding in encodings])
        alone = np.concatenate([self.model.run([encoding]) for encoding in encodings])
        np.testing.assert_allclose(alone, expected, atol=1e-5)
        np.testing.assert_allclose(self.model.run(encodings), expected, atol=1e-5)

    def test_the_golden_examples_are_what_python_computes(self):
        examples = read_jsonl(FAST / "golden.jsonl")
        self.assertGreater(len(examples), 60)
        for example in examples:
            ids, truncated = self.weights.ngrams.encode(example["text"])
            self.assertEqual((ids, truncated), (example["ids"], example["truncated"]), repr(example["text"][:30]))
            logits = self.weights.logits(ids)
            np.testing.assert_allclose(logits, example["logits"], atol=1e-5)
            np.testing.assert_allclose(softmax(logits[None], self.model.temperature)[0], example["probabilities"], atol=1e-5)


if __name__ == "__main__":
    unittest.main()
