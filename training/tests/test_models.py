"""Calibration, metrics, the manifest's form, and the fast graph against plain numpy."""

import tempfile
import tomllib
import unittest
from pathlib import Path

import numpy as np
import onnx

from tandem_training.calibration import expected_calibration_error, fit_temperature, softmax
from tandem_training.evaluate import accuracy, confusion, macro_f1, paired_bootstrap
from tandem_training.fast_export import manifest_of
from tandem_training.fast_graph import build
from tandem_training.fast_quantise import quantise
from tandem_training.fast_weights import FastWeights
from tandem_training.features import NGrams
from tandem_training.golden_texts import TRICKY
from tandem_training.manifest import read_manifest, seal, to_toml
from tandem_training.model import Model


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
        gain, low, high = paired_bootstrap(labels, predicted, labels)
        self.assertEqual(gain, 0.25)
        self.assertTrue(low <= gain <= high)


class ManifestForm(unittest.TestCase):
    def test_what_is_written_is_read_back(self):
        manifest = {"name": 'a "quoted" 이름\x1c', "number": 0.1, "list": ["x"], "table": {"a.b": True, "c": 3}}
        self.assertEqual(tomllib.loads(to_toml(manifest)), manifest)


class FastModel(unittest.TestCase):
    def setUp(self):
        ngrams = NGrams(buckets=1 << 10)
        weights = np.random.default_rng(0).normal(0, 1, ngrams.buckets).astype(np.float32)
        self.weights = FastWeights(ngrams, *quantise(weights, np.ones(ngrams.buckets)), bias=0.25)
        self.raw = weights

    def test_sixteen_levels_one_of_them_zero(self):
        self.assertEqual(len(np.unique(self.weights.levels)), 16)
        self.assertIn(0, self.weights.levels)
        self.assertLess(np.abs(self.weights.table - self.raw).mean(), 0.15)

    def test_the_graph_agrees_with_numpy_alone_and_padded(self):
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(build(self.weights.codes, self.weights.levels, self.weights.bias), Path(folder) / "model.onnx")
            seal(folder, manifest_of(self.weights, "1"))
            self.assertEqual(list(read_manifest(folder)["files"]), ["model.onnx"])
            model = Model(folder)
            encodings = model.encode(TRICKY)
            expected = np.array([self.weights.logits(encoding.ids) for encoding in encodings])
            alone = np.concatenate([model.run([encoding]) for encoding in encodings])
            np.testing.assert_allclose(alone, expected, atol=1e-5)
            np.testing.assert_allclose(model.run(encodings), expected, atol=1e-5)

    def test_the_weights_survive_the_file(self):
        with tempfile.TemporaryDirectory() as folder:
            self.weights.save(Path(folder) / "fast.npz")
            again = FastWeights.load(Path(folder) / "fast.npz")
        self.assertEqual(again.ngrams, self.weights.ngrams)
        np.testing.assert_array_equal(again.table, self.weights.table)
        self.assertEqual(again.bias, self.weights.bias)


if __name__ == "__main__":
    unittest.main()
