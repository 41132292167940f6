"""Beam's handlers, on its direct runner and by its portable job server."""

import contextlib
import io
import os
import unittest

from common import GONE, GOOD, OWN, TOO_LONG, example, needs, predicted, reviews, shared

#: What a pipeline gave, which runs in this process. (What a function closes over Beam would copy.)
FOUND = {}
DEAD = []


def keep(key, one):
    assert key not in FOUND, "a row came twice"
    FOUND[key] = one


def keep_failed(one):
    DEAD.append(one)


@needs("apache_beam")
class Beam(unittest.TestCase):
    def run_inference(self, handler, rows):
        """What became of each row: by its key the answer, and what failed as a whole."""
        import apache_beam as beam
        from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

        FOUND.clear()
        DEAD.clear()
        with beam.Pipeline("FnApiRunner") as pipeline:
            inference = RunInference(KeyedModelHandler(handler)).with_exception_handling()
            answers, failed = pipeline | beam.Create(rows) | inference
            _ = answers | "keep" >> beam.MapTuple(keep)
            _ = failed.failed_inferences | "keep failed" >> beam.Map(keep_failed)
        return dict(FOUND), list(DEAD)

    def test_a_fleet_answers_and_a_text_at_fault_is_a_row_with_an_error(self):
        from tandem_text.beam import TandemModelHandler

        rows = [*reviews(1000), ("long", TOO_LONG), ("none", None)]
        found, dead = self.run_inference(TandemModelHandler(shared().address, route="fast"), rows)
        self.assertEqual(dead, [])
        self.assertEqual(set(found), {key for key, _ in rows})
        for key in ("long", "none"):
            self.assertTrue(found.pop(key).inference.error.startswith("INVALID_FIELD: the text "))
        self.assertEqual({key: one.inference.label for key, one in found.items()}, predicted(reviews(1000)))
        self.assertEqual({one.model_id for one in found.values()}, {"sentiment-fast@1"})

    def test_what_no_server_answers_is_a_dead_letter(self):
        from tandem_text.beam import TandemModelHandler

        handler = TandemModelHandler(GONE, timeout=0.5, num_retries=0, route="fast")
        found, dead = self.run_inference(handler, reviews(10))
        self.assertEqual(found, {})
        self.assertEqual(sorted(key for batch, _ in dead for key, _ in batch), sorted(key for key, _ in reviews(10)))
        self.assertIn("Unavailable", str(dead[0][1]))

    def test_a_program_in_the_worker_answers_too_and_there_is_one(self):
        from tandem_text.beam import LocalTandemModelHandler

        handler = LocalTandemModelHandler(OWN, route="fast")
        rows = reviews(1000)
        for _ in range(2):
            found, dead = self.run_inference(handler, rows)
            self.assertEqual(dead, [])
            self.assertEqual({key: one.inference.label for key, one in found.items()}, predicted(rows))
            pid = handler.load_model().program.pid
            os.kill(pid, 0)
        self.assertEqual(handler.load_model().program.pid, pid)

    def test_options_are_the_handlers_and_mistakes_show_at_once(self):
        from tandem_text.beam import LocalTandemModelHandler, TandemModelHandler

        with self.assertRaises(ValueError):
            TandemModelHandler("tandem:50051", route="fats")
        for handler in (TandemModelHandler("tandem"), LocalTandemModelHandler(["tandem"])):
            handler.validate_inference_args(None)
            with self.assertRaises(ValueError):
                handler.validate_inference_args({"route": "fast"})

    def test_the_example_of_the_page(self):
        import apache_beam as beam

        # By default Beam would look for a runner on the network.
        script = example("Apache Beam").replace("beam.Pipeline()", 'beam.Pipeline("FnApiRunner")')
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(script, {"texts": [GOOD, "시간이 아까운 영화"], "beam": beam, "__name__": "__main__"})
        printed = sorted(out.getvalue().splitlines())
        self.assertEqual(printed, ["시간이 아까운 영화 negative None", f"{GOOD} positive None"])


if __name__ == "__main__":
    unittest.main()
