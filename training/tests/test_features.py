"""Normalisation and hashing: the vectors that the server's own tests read too."""

import unittest
from pathlib import Path

from tandem_training.features import NGrams, hash_points
from tandem_training.golden_file import read_jsonl
from tandem_training.golden_texts import TRICKY
from tandem_training.text import fold

VECTORS = Path(__file__).parents[2] / "tests" / "data" / "ngrams.jsonl"


class Folding(unittest.TestCase):
    def test_white_space_is_the_unicode_property_and_not_pythons(self):
        self.assertEqual(fold("\u3000A\u0085\u2029b\t "), "a b")
        self.assertEqual(fold("\x1ca\x1d\x1e\x1fb"), "\x1ca\x1d\x1e\x1fb")

    def test_lower_case_knows_no_context(self):
        self.assertEqual(fold("ΟΔΟΣ"), "οδοσ")
        self.assertEqual(fold("İ"), "i\u0307")

    def test_decomposed_hangul_is_composed(self):
        self.assertEqual(fold("\u1112\u1161\u11ab"), "한")

    def test_zero_width_characters_stay(self):
        self.assertEqual(fold("a\u200bb\ufeff"), "a\u200bb\ufeff")


class Hashing(unittest.TestCase):
    def test_one_known_hash(self):
        # FNV-1a of a single U+0020 is 0x250C8F7F; the mix follows murmur3's fmix32.
        value = ((0x811C9DC5 ^ 0x20) * 0x01000193) & 0xFFFFFFFF
        self.assertEqual(value, 0x250C8F7F)
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
            value = ((value ^ value >> shift) * factor) & 0xFFFFFFFF
        self.assertEqual(hash_points([0x20]), value)

    def test_an_empty_text_is_two_spaces(self):
        self.assertEqual(len(NGrams().encode("")[0]), 2)
        self.assertEqual(NGrams().encode(""), NGrams().encode(" \n\u3000"))

    def test_ids_are_ascending_and_distinct(self):
        for text in TRICKY:
            ids, _ = NGrams().encode(text)
            self.assertEqual(ids, sorted(set(ids)))

    def test_a_text_is_cut_after_its_256th_code_point(self):
        self.assertEqual(NGrams().encode("가나" * 128)[1], False)
        self.assertEqual(NGrams().encode("가나" * 128 + "다")[1], True)
        self.assertEqual(NGrams().encode("가나" * 128 + "다")[0], NGrams().encode("가나" * 128)[0])

    def test_the_committed_vectors_hold(self):
        vectors = read_jsonl(VECTORS)
        self.assertGreaterEqual(len(vectors), 40)
        for vector in vectors:
            text = vector["text"]
            self.assertEqual(NGrams().encode(text)[0], vector["ids"], repr(text[:30]))
            self.assertEqual(NGrams(max_words=2).encode(text)[0], vector["ids_with_words"], repr(text[:30]))


if __name__ == "__main__":
    unittest.main()
