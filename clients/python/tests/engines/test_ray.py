"""Ray Data's actor class, on a cluster of one machine."""

import os
import unittest

from common import GONE, GOOD, OWN, TOO_LONG, example, needs, predicted, reviews, shared

from tandem_text.bulk import Bulk


@needs("ray")
class Ray(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # A busy machine is no fault of Ray's.
        os.environ.setdefault("RAY_raylet_start_wait_time_s", "300")
        import ray

        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=128 << 20, log_to_driver=False)
        ray.data.DataContext.get_current().enable_progress_bars = False
        cls.addClassCleanup(ray.shutdown)

    def classified(self, rows, bulk):
        import ray

        from tandem_text.ray import Classify

        texts = ray.data.from_items([{"id": key, "text": text} for key, text in rows], override_num_blocks=4)
        answers = texts.map_batches(
            Classify,
            fn_constructor_args=("text", bulk),
            batch_size=256,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=1),
        )
        found = answers.take_all()
        self.assertEqual(len(found), len(rows))
        return {row["id"]: row for row in found}

    def test_a_fleet_answers_and_a_text_at_fault_is_a_row_with_an_error(self):
        rows = [*reviews(1000), ("long", TOO_LONG), ("none", None)]
        found = self.classified(rows, Bulk(shared().address, route="fast"))
        for key in ("long", "none"):
            row = found.pop(key)
            self.assertTrue(row["error"].startswith("INVALID_FIELD: the text "))
            self.assertIsNone(row["label"])
        self.assertEqual({key: row["label"] for key, row in found.items()}, predicted(reviews(1000)))
        self.assertEqual(
            {(row["tier"], row["model"], row["error"]) for row in found.values()}, {("fast", "sentiment-fast@1", None)}
        )

    def test_a_program_of_the_actor_answers_too(self):
        found = self.classified(reviews(1000), Bulk(program=OWN, route="fast"))
        self.assertEqual({key: row["label"] for key, row in found.items()}, predicted(reviews(1000)))

    def test_what_no_server_answers_is_a_row_with_an_error(self):
        found = self.classified(reviews(10), Bulk(GONE, timeout=0.5))
        self.assertEqual({row["error"].partition(":")[0] for row in found.values()}, {"UNAVAILABLE"})

    def test_a_batch_that_does_not_fit_is_named(self):
        import pyarrow

        from tandem_text.ray import Classify

        classify = Classify("text", Bulk(shared().address, route="fast"))
        with self.assertRaisesRegex(TypeError, 'batch_format="pyarrow"'):
            classify({"text": [GOOD]})
        with self.assertRaisesRegex(ValueError, "column 'label' already"):
            classify(pyarrow.table({"text": [GOOD], "label": [1]}))

    def test_the_example_of_the_page(self):
        import ray

        given = {"reviews": ray.data.from_items([{"review": GOOD}, {"review": "시간이 아까운 영화"}])}
        exec(example("Ray Data"), given)
        self.assertEqual(sorted(row["label"] for row in given["answers"].take_all()), ["negative", "positive"])


if __name__ == "__main__":
    unittest.main()
