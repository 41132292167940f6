"""The deep model's parts on made-up pieces: what is exported computes what was trained."""

import unittest

import numpy as np

try:
    import onnxruntime
    import torch
except ImportError as missing:  # PyTorch is wanted for training alone
    raise unittest.SkipTest(f"{missing.name} is not installed") from missing

from tandem_training.deep_data import NONE, Encoded, batches, gather, in_order
from tandem_training.deep_graph import build, float_linear
from tandem_training.deep_model import DeepConfig, DeepModel
from tandem_training.deep_quantise import LARGEST_WEIGHT, careful_weight, fixed, measure_inputs
from tandem_training.deep_split import Splitter
from tandem_training.deep_wide import WideModel, grams, pack, scores, spelling, unpack
from tandem_training.deep_wide_graph import wide_logits

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "재", "미", "있", "다", "##재", "##미", "##있", "##다"]
PIECES += ["재미", "##미있", "재미있다", "##있다", ".", "!", "영화관에서보았던", "##는"]
BUCKETS = 1009


def some_reviews(count: int = 60, longest: int = 12) -> Encoded:
    random = np.random.default_rng(1)
    rows = [[2, *random.integers(5, len(PIECES), random.integers(0, longest - 1)), 3] for _ in range(count)]
    ids = np.array([number for row in rows for number in row], dtype=np.uint16)
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return Encoded(ids, starts, random.integers(0, 2, count), np.full(count, NONE), np.zeros(count, np.float32))


def some_model() -> DeepModel:
    torch.manual_seed(1)
    shape = DeepConfig(vocabulary=len(PIECES), hidden=64, layers=2, heads=4, inner=128, positions=16, small_pieces=True)
    model = DeepModel(shape).eval()
    for weight in model.parameters():
        weight.data += torch.randn_like(weight) * 0.05
    return model


def some_wide() -> WideModel:
    weights, step = pack(np.random.default_rng(2).normal(size=BUCKETS).astype(np.float32))
    return WideModel(spelling(PIECES), weights, step, border=0.3, scale=1.1)


def text_of(ids: np.ndarray) -> str:
    return "".join(PIECES[number].removeprefix("##") for number in ids)


class Data(unittest.TestCase):
    def test_batches_hold_every_review_once_and_one_length_each(self):
        data = some_reviews()
        for dealt in (batches(data, 20, np.random.default_rng(0)), list(in_order(data, 20))):
            self.assertEqual(sorted(np.concatenate(dealt)), list(range(len(data.label))))
            self.assertTrue(all(len(set(data.lengths[rows])) == 1 for rows in dealt))

    def test_split_pieces_spell_the_same(self):
        data = some_reviews()
        cut = Splitter(PIECES, 1).split(data, 0.7, 16, np.random.default_rng(0))
        self.assertGreater(len(cut.ids), len(data.ids))
        for row in range(len(data.label)):
            before, after = (one.ids[one.starts[row] : one.starts[row + 1]] for one in (data, cut))
            self.assertEqual(text_of(before), text_of(after))


class Wide(unittest.TestCase):
    def test_n_grams_of_one_spelling_are_the_same_however_it_is_cut(self):
        table = spelling(PIECES)
        whole, cut = [2, PIECES.index("재미있다"), 3], [2, PIECES.index("재미"), PIECES.index("##있다"), 3]
        found = []
        for row in (whole, cut):
            data = Encoded(np.array(row), np.array([0, len(row)]), np.array([1]), np.array([NONE]), np.zeros(1))
            found.append(sorted(grams(data, table, BUCKETS)[0]))
        self.assertEqual(*found)

    def test_the_model_gives_the_scores_of_training(self):
        data, wide = some_reviews(), some_wide()
        ids, starts = grams(data, spelling(PIECES), BUCKETS)
        wanted = (scores(unpack(wide.weights.numpy(), wide.step), starts, ids) - wide.border) * wide.scale
        for rows in in_order(data, 20):
            found = wide(torch.from_numpy(gather(data, rows))).numpy()
            np.testing.assert_allclose(found, wanted[rows], atol=1e-4)


class Export(unittest.TestCase):
    def run_padded(self, proto, data: Encoded, rows: list[int]) -> np.ndarray:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        ids = np.zeros((len(rows), max(data.lengths[rows])), dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            pieces = data.ids[data.starts[row] : data.starts[row + 1]]
            ids[place, : len(pieces)], mask[place, : len(pieces)] = pieces, 1
        return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

    def test_the_graphs_agree_with_pytorch_alone_and_padded(self):
        data, model, wide = some_reviews(), some_model(), some_wide()
        rows = list(range(20))
        with torch.inference_mode():
            wanted = []
            for row in rows:
                ids = torch.from_numpy(gather(data, np.array([row])))
                half = wide(ids)[:, None] / 2
                wanted.append((model(ids) + torch.cat([-half, half], 1)).numpy()[0])
        eight_bits = fixed(measure_inputs([model], data))
        for linear, tolerance in ((float_linear, 1e-4), (eight_bits, 0.1)):
            proto = build([model], linear, True, lambda graph: wide_logits(graph, wide))
            together = self.run_padded(proto, data, rows)
            np.testing.assert_allclose(together, wanted, atol=tolerance)
            alone = np.concatenate([self.run_padded(proto, data, [row]) for row in rows])
            np.testing.assert_allclose(together, alone, atol=1e-4)

    def test_weights_keep_to_seven_bits_and_round_with_care(self):
        random = np.random.default_rng(3)
        weight, inputs = random.normal(size=(32, 8)).astype(np.float32), random.normal(size=(200, 32)) + 1
        small, scale = careful_weight(weight, inputs.T @ inputs)
        self.assertLessEqual(np.abs(small.astype(int)).max(), LARGEST_WEIGHT)
        plain = np.round(weight / scale) * scale
        error, plain_error = (np.square(inputs @ (weight - one)).mean() for one in (small * scale, plain))
        self.assertLess(error, plain_error)


if __name__ == "__main__":
    unittest.main()
