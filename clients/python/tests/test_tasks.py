"""One call for several tasks: the answers of each, errors in their place, and how texts are split and counted."""

import unittest
from unittest import mock

from support import BOUND_S, ROOT, Server, keys, run

import tandem_text
from tandem_text import (
    AsyncClient,
    Client,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Predictions,
    ResourceExhausted,
    connection,
    tasks,
)
from tandem_text._stubs import prediction_pb2
from tandem_text.batch_size import BatchSize
from tandem_text.messages import asked

GOOD, BAD, LONG = "the film is good", "the game is boring, you idiot", "the film is good " * 40
KEY = "tasks-0123456789-0123456789"


class Tasks(unittest.TestCase):
    """A server of one model with a head for each of two tasks, which takes four texts at once."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--max-texts", "4", models=("--models", ROOT / "tests/data/heads"))
        cls.addClassCleanup(cls.server.kill)

    def both(self, *args, **kwargs):
        with Client(self.server.address) as client:
            first = client.predict_tasks(*args, **kwargs)

        async def main():
            async with AsyncClient(self.server.address) as client:
                return await client.predict_tasks(*args, **kwargs)

        return first, run(main())

    def fails(self, kind, *args, **kwargs):
        with Client(self.server.address) as client, self.assertRaises(kind) as caught:
            client.predict_tasks(*args, **kwargs)
        return caught.exception

    def test_each_task_has_the_answers_that_it_gives_alone(self):
        with Client(self.server.address) as client:
            alone = {task: client.predict([GOOD, BAD], task=task, top_k=3) for task in ("toxicity", "sentiment")}
        for found in self.both([GOOD, BAD], ["toxicity", "sentiment"], top_k=3):
            self.assertEqual(list(found), ["toxicity", "sentiment"])
            self.assertEqual(found["sentiment"].labels, ["positive", "negative"])
            self.assertEqual(found["toxicity"].labels, ["clean", "toxic"])
            for task, answers in found.items():
                self.assertEqual([str(model) for model in answers.models], ["two-heads@1"])
                self.assertEqual(len(answers.timings), 1)
                for one, other in zip(answers, alone[task]):
                    self.assertEqual((one.text, one.label, one.tier), (other.text, other.label, "deep"))
                    for score, wanted in zip(one.scores, other.scores):
                        self.assertAlmostEqual(score.score, wanted.score, places=4)
        for found in self.both(GOOD):
            self.assertEqual(
                {task: one.label for task, one in found.items()}, {"sentiment": "positive", "toxicity": "clean"}
            )
        for found in self.both([GOOD], "toxicity"):
            self.assertEqual(list(found), ["toxicity"])

    def test_a_task_that_fails_has_its_error_and_the_others_their_answers(self):
        for found in self.both([GOOD], ["sentiment", "none"]):
            self.assertEqual(found["sentiment"].labels, ["positive"])
            self.assertIs(type(found["none"]), NotFound)
            self.assertEqual(found["none"].reason, "TASK_NOT_FOUND")
        for found in self.both(GOOD, route="fast"):
            self.assertEqual([type(one) for one in found.values()], [FailedPrecondition] * 2)

    def test_texts_are_split_and_errors_count_over_the_whole_call(self):
        texts = [GOOD if at % 3 else BAD for at in range(130)]
        for found in self.both(texts):
            self.assertEqual([one.text for one in found["toxicity"]], texts)
            self.assertEqual(found["toxicity"].labels, ["clean" if at % 3 else "toxic" for at in range(130)])
            self.assertEqual(len(found["sentiment"].timings), 33)
        texts[9] = LONG
        for found in self.both(texts[:11], truncation="reject"):
            for error in found.values():
                self.assertIs(type(error), InvalidArgument)
                self.assertEqual(error.violations[0].field, "texts[9]")
        error = self.fails(InvalidArgument, [*texts, "x" * 20_000])
        self.assertEqual(error.violations[0].field, "texts[130]")
        for found in self.both([], ["sentiment"]):
            self.assertEqual((list(found), len(found["sentiment"])), (["sentiment"], 0))
        for found in self.both([]):
            self.assertEqual(found, {})

    def test_what_can_not_be_asked_is_refused_by_its_name(self):
        for kind, said, names, options in [
            (ValueError, "tasks is empty", [], {}),
            (TypeError, "tasks[1] is of type int", ["sentiment", 1], {}),
            (ValueError, "task does not go with tasks", "*", {"task": "sentiment"}),
            (ValueError, "model does not go with tasks", "*", {"model": "two-heads"}),
            (TypeError, "rout is no option", "*", {"rout": "fast"}),
        ]:
            self.assertIn(said, str(self.fails(kind, GOOD, names, **options)))
        for names, field in (
            (["sentiment"] * 2, "tasks[1]"),
            (["sentiment", "*"], "tasks[1]"),
            ([f"a{at}" for at in range(33)], "tasks"),
        ):
            error = self.fails(InvalidArgument, GOOD, names)
            self.assertEqual(error.violations[0].field, field)
        # No task can take it; one that has a cascade could take the other.
        error = self.fails(InvalidArgument, GOOD, route="fast", min_confidence=0.5)
        self.assertEqual(error.violations[0].field, "min_confidence")
        for found in self.both(GOOD, route="cascade", min_confidence=0.5):
            self.assertEqual([type(one) for one in found.values()], [FailedPrecondition] * 2)

    def with_a_key(self, limits):
        """Another server of the same model, whose one key has limits; what makes clients of it."""
        flags = ("--tokens-file", keys(f"slow:{KEY} {limits}\n"))
        server = Server(*flags, models=("--models", ROOT / "tests/data/heads"))
        self.addCleanup(server.kill)
        return {"target": server.address, "token": KEY, "retries": 100}

    def test_a_keys_share_counts_a_text_once_for_each_task(self):
        how = self.with_a_key("texts_per_second=20 burst=4")

        def at_once(names):
            with Client(**how) as client:
                return client.predict_tasks([GOOD] * 5, names, timeout=BOUND_S)

        async def main(names):
            async with AsyncClient(**how) as client:
                return await client.predict_tasks([GOOD] * 5, names, timeout=BOUND_S)

        # A server that does not say how many tasks it has is tried with half as many texts.
        silent = connection.LIST_MODELS._replace(path="/tandem.v1.ModelService/None")
        for names in (["sentiment", "toxicity"], "*"):
            for method in (connection.LIST_MODELS, silent):
                with mock.patch.object(connection, "LIST_MODELS", method):
                    for found in (at_once(names), run(main(names))):
                        self.assertEqual(list(found), ["sentiment", "toxicity"])
                        self.assertEqual(found["sentiment"].labels, ["positive"] * 5)
                        # Two texts for each of two tasks at once.
                        self.assertEqual(len(found["toxicity"].timings), 3)

    def test_a_share_that_is_less_than_one_text_for_all_tasks_is_an_error(self):
        how = self.with_a_key("texts_per_second=20 burst=1")
        with Client(**how) as client:
            for texts in (GOOD, [GOOD] * 3):
                with self.assertRaises(ResourceExhausted) as caught:
                    client.predict_tasks(texts, "*", timeout=BOUND_S)
                self.assertEqual(caught.exception.metadata["burst"], "1")


class Sizes(unittest.TestCase):
    """The batches for all tasks of a server, after it refused larger ones."""

    def refused(self, burst, tasks, counted):
        """The sizes that are refused, and the one that is not."""
        size = BatchSize()
        tried = [size.of(1000, None)]
        while tried[-1] * tasks > burst and tried[-1] > 1:
            error = ResourceExhausted("too many", code=None)
            error.reason, error.metadata = "RATE_LIMITED", {"burst": str(burst)}
            self.assertTrue(size.learn_burst(error))
            size.learn_all_tasks(counted, tried[-1])
            tried.append(size.of(tried[-1], None))
        return tried

    def test_what_the_server_says_is_taken_at_once(self):
        self.assertEqual(self.refused(burst=4, tasks=2, counted=2), [128, 2])
        self.assertEqual(self.refused(burst=200, tasks=30, counted=30), [128, 6])
        self.assertEqual(self.refused(burst=2, tasks=3, counted=3), [128, 1])

    def test_batches_shrink_with_each_refusal_whatever_the_server_says(self):
        self.assertEqual(self.refused(burst=100, tasks=32, counted=None), [128, 100, 50, 25, 12, 6, 3])
        self.assertEqual(self.refused(burst=7, tasks=2, counted=0), [128, 7, 3])
        for burst in range(1, 300):
            for tasks_there in range(1, 33):
                for counted in (None, 0, 1, tasks_there):
                    tried = self.refused(burst, tasks_there, counted)
                    self.assertEqual(tried, sorted(set(tried), reverse=True))
                    self.assertTrue(tried[-1] == 1 or tried[-1] * tasks_there <= burst, tried)


class Joined(unittest.TestCase):
    """What becomes of answers that no server of today gives."""

    def answers(self, *names):
        results = [prediction_pb2.TaskResult(task=name, response={"predictions": [{"label": "x"}]}) for name in names]
        return ["a text"], prediction_pb2.PredictResponse(task_results=results)

    def test_a_task_that_came_or_went_during_the_call_is_an_error(self):
        found = tasks.joined(asked(["a text"]), ["one", "left-out"], [self.answers("one")])
        self.assertIs(type(found["left-out"]), tandem_text.Unavailable)
        found = tasks.joined(asked(["a text"] * 2), ["*"], [self.answers("one", "gone"), self.answers("come", "one")])
        self.assertIsInstance(found["one"], Predictions)
        self.assertEqual(len(found["one"]), 2)
        for task in ("gone", "come"):
            self.assertIs(type(found[task]), tandem_text.Unavailable)
            self.assertIn(f"the task {task} was not answered for all texts", str(found[task]))

    def test_a_server_that_knows_of_no_tasks_is_told_from_one_that_has_none(self):
        answer = prediction_pb2.PredictResponse(predictions=[{"label": "x"}])
        with self.assertRaises(tandem_text.Unimplemented):
            tasks.joined(asked(["a text"]), ["*"], [(["a text"], answer)])


if __name__ == "__main__":
    unittest.main()
