"""Spark's function, in a session of two workers."""

import os
import sys
import unittest

from common import GONE, GOOD, OWN, TOO_LONG, example, needs, predicted, reviews, shared


@needs("pyspark")
class Spark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        from pyspark.sql import SparkSession

        os.environ["PYSPARK_PYTHON"] = sys.executable
        builder = SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
        cls.spark = builder.getOrCreate()
        cls.addClassCleanup(cls.spark.stop)

    def classified(self, rows, **given):
        from tandem_text.spark import classify_udf

        classify = classify_udf(**given)
        frame = self.spark.createDataFrame(rows, "id string, text string").repartition(4)
        found = frame.select("id", classify("text").alias("answer")).select("id", "answer.*").collect()
        self.assertEqual(len(found), len(rows))
        return {row.id: row for row in found}

    def test_a_fleet_answers_and_a_text_at_fault_is_a_row_with_an_error(self):
        rows = [*reviews(1000), ("long", TOO_LONG), ("none", None)]
        found = self.classified(rows, target=shared().address, route="fast")
        for key in ("long", "none"):
            self.assertTrue(found[key].error.startswith("INVALID_FIELD: the text "))
            self.assertIsNone(found.pop(key).label)
        self.assertEqual({key: row.label for key, row in found.items()}, predicted(reviews(1000)))
        self.assertEqual(
            {(row.tier, row.model, row.error) for row in found.values()}, {("fast", "sentiment-fast@1", None)}
        )

    def test_a_program_of_each_worker_answers_too(self):
        found = self.classified(reviews(1000), program=OWN, route="fast")
        self.assertEqual({key: row.label for key, row in found.items()}, predicted(reviews(1000)))

    def test_what_no_server_answers_is_a_row_with_an_error_or_fails_the_job(self):
        found = self.classified(reviews(10), target=GONE, timeout=0.5)
        self.assertEqual({row.error.partition(":")[0] for row in found.values()}, {"UNAVAILABLE"})
        with self.assertRaisesRegex(Exception, "UNAVAILABLE"):
            self.classified(reviews(10), target=GONE, timeout=0.5, failures="raise")

    def test_the_example_of_the_page(self):
        reviews = self.spark.createDataFrame([("a", GOOD), ("b", "시간이 아까운 영화")], "id string, review string")
        given = {"reviews": reviews}
        exec(example("Spark"), given)
        self.assertEqual({row.id: row.label for row in given["answers"].collect()}, {"a": "positive", "b": "negative"})


if __name__ == "__main__":
    unittest.main()
