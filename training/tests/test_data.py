"""Reading the corpora and the seeded split."""

import json
import random
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from tandem_training import data
from tandem_training.data import Review, StarReview, drop_texts, read_labelled, read_nsmc, split_nsmc, write_labelled
from tandem_training.stars import gather

FIXTURE = Path(__file__).parents[2] / "tests" / "data" / "reviews.tsv"


class Reading(unittest.TestCase):
    def test_nsmc_has_csv_quoting(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ratings.txt"
            path.write_text('id\tdocument\tlabel\n1\t"""좋다"" 라고"\t1\n2\t\t0\n', encoding="utf-8")
            self.assertEqual(read_nsmc(path), [Review("1", '"좋다" 라고', 1), Review("2", "", 0)])
            self.assertEqual(read_labelled(path), read_nsmc(path))

    def test_our_slices_have_none(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "slice.tsv"
            rows = [Review("1", '"좋다" \u2028 라고\x1c', 1), Review("2", "", 0)]
            write_labelled(path, rows)
            self.assertEqual(read_labelled(path), rows)

    def test_another_header_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "slice.tsv"
            path.write_text("a\tb\n", encoding="utf-8")
            with self.assertRaisesRegex(ValueError, "expected the columns"):
                read_labelled(path)

    def test_the_fixture_is_there(self):
        self.assertEqual(len(read_labelled(FIXTURE)), 2_000)


class Gathering(unittest.TestCase):
    def test_star_reviews_leave_out_both_parts_and_the_texts_of_the_test_part(self):
        def review(number: str, text: str) -> dict[str, str]:
            return {"review_id": number, "movie_id": "7", "author": "x", "date": "15.01.01", "rating": "8", "review": text}

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "raw").mkdir()
            raw = [review("3", "new"), review("2", "Same \n text"), review("1", "trained on"), review("10", "older")]
            (folder / "raw" / "7.json").write_text(json.dumps(raw), encoding="utf-8")
            header = "id\tdocument\tlabel\n"
            (folder / "ratings_train.txt").write_text(header + "1\ttrained on\t1\n", encoding="utf-8")
            (folder / "ratings_test.txt").write_text(header + "9\tsame text\t0\n", encoding="utf-8")
            self.assertEqual([found["review_id"] for found in gather(folder)], ["3", "10"])


class Splitting(unittest.TestCase):
    def test_the_split_does_not_depend_on_the_order_of_the_rows(self):
        rows = [Review(str(number), f"글 {number % 90}", number % 2) for number in range(100)]
        shuffled = random.Random(0).sample(rows, len(rows))
        with mock.patch.object(data, "HELD_OUT_ROWS", 20):
            self.assertEqual(split_nsmc(rows), split_nsmc(shuffled))

    def test_no_text_of_the_held_out_slice_is_trained_on(self):
        rows = [Review(str(number), f" 글  {number % 30}".upper(), number % 2) for number in range(100)]
        with mock.patch.object(data, "HELD_OUT_ROWS", 20):
            train, held_out = split_nsmc(rows)
        self.assertEqual(len(held_out), 20)
        self.assertFalse({row.text for row in train} & {row.text for row in held_out})

    def test_texts_are_compared_folded(self):
        stars = [StarReview("1", " GOOD\u3000film ", 10), StarReview("2", "bad", 1)]
        self.assertEqual(drop_texts(stars, [Review("9", "good film", 1)]), stars[1:])


if __name__ == "__main__":
    unittest.main()
