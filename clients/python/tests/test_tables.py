"""pandas and Arrow, in and out."""

import unittest

import numpy
import pandas
import pyarrow
from support import run, shared

from tandem_text import AsyncClient, Client

TEXTS = ["정말 재미있게 봤어요", "시간이 아까운 영화", "정말 재미있게 봤어요"]
LABELS = ["positive", "negative", "positive"]


class Tables(unittest.TestCase):
    def setUp(self):
        self.client = Client(shared().address)
        self.addCleanup(self.client.close)

    def test_a_series_gives_a_frame_with_its_index(self):
        series = pandas.Series(TEXTS, index=[7, 7, 9], name="review")
        frame = self.client.predict(series, route="fast", top_k=2).to_pandas()
        self.assertEqual(frame.index.tolist(), [7, 7, 9])
        self.assertEqual(frame["label"].tolist(), LABELS)
        self.assertEqual(frame["model"].tolist(), ["sentiment-fast@1"] * 3)
        self.assertEqual(set(frame["scores"].iloc[0]), {"positive", "negative"})
        self.assertNotIn("value", frame.columns)

    def test_so_does_a_numpy_array_and_options_may_be_numpys_numbers(self):
        options = {"top_k": numpy.int64(1), "min_confidence": numpy.float32(0.5), "route": "cascade"}
        frame = self.client.predict(numpy.array(TEXTS), **options).to_pandas()
        self.assertEqual(frame["label"].tolist(), LABELS)
        self.assertEqual(frame["scores"].map(len).tolist(), [1, 1, 1])

    def test_an_arrow_array_gives_a_table(self):
        for array in (pyarrow.array(TEXTS), pyarrow.chunked_array([TEXTS[:1], TEXTS[1:]])):
            table = self.client.predict(array, route="fast", top_k=1).to_arrow()
            self.assertEqual(table.column("label").to_pylist(), LABELS)
            self.assertEqual(table.schema.field("confidence").type, pyarrow.float32())
            self.assertEqual(table.column("scores").to_pylist()[1][0][0], "negative")

    def test_windows_are_a_column_where_there_are_any(self):
        options = {"route": "fast", "truncation": "windows", "include_windows": True}
        answers = self.client.predict([TEXTS[0], f"{TEXTS[1]}. " * 60], **options)
        frame, table = answers.to_pandas(), answers.to_arrow()
        for column in (frame["windows"].tolist(), table.column("windows").to_pylist()):
            self.assertEqual([len(one) for one in column], [1, len(answers[1].windows)])
            self.assertEqual((column[0][0]["start_byte"], column[0][0]["label"]), (0, "positive"))
            self.assertEqual(column[1][-1]["end_byte"], answers[1].read_size_bytes)
        self.assertNotIn("windows", self.client.predict(TEXTS, route="fast").to_pandas().columns)

    def test_a_frame_gets_columns_and_keeps_its_own(self):
        frame = pandas.DataFrame({"review": TEXTS, "label": [1, 0, 1]}, index=["a", "a", "b"])
        answers = self.client.predict_table(frame, "review", route="fast")
        self.assertEqual(answers["predicted_label"].tolist(), LABELS)
        self.assertEqual(answers["label"].tolist(), [1, 0, 1])
        self.assertEqual(answers.index.tolist(), ["a", "a", "b"])
        self.assertEqual(list(frame.columns), ["review", "label"])

    def test_so_do_arrow_tables_and_record_batches(self):
        table = pyarrow.table({"text": TEXTS})
        for given in (table, table.to_batches()[0]):
            answers = self.client.predict_table(given, prefix="", route="fast")
            self.assertIs(type(answers), type(given))
            self.assertEqual(answers.column("label").to_pylist(), LABELS)
            nothing = self.client.predict_table(given.slice(0, 0))
            self.assertEqual((nothing.num_rows, nothing.num_columns), (0, 8))

        async def main():
            async with AsyncClient(shared().address) as client:
                return await client.predict_table(table, route="fast")

        self.assertEqual(run(main()).column("predicted_label").to_pylist(), LABELS)

    def test_what_does_not_fit_is_named(self):
        frame = pandas.DataFrame({"text": ["좋다", None, "나쁘다"], "predicted_tier": 0})
        for kind, said, call in [
            (
                ValueError,
                "no column 'review'; it has 'text', 'predicted_tier'",
                lambda: self.client.predict_table(frame, "review", prefix="p_"),
            ),
            (ValueError, "'predicted_tier' already", lambda: self.client.predict_table(frame)),
            (TypeError, "texts[1] is missing", lambda: self.client.predict_table(frame, prefix="p_")),
            (TypeError, "texts[1] is missing", lambda: self.client.predict(frame["text"])),
            (TypeError, "one of its columns", lambda: self.client.predict(frame)),
            (TypeError, "must be a pandas DataFrame", lambda: self.client.predict_table([1])),
        ]:
            with self.assertRaises(kind) as caught:
                call()
            self.assertIn(said, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
