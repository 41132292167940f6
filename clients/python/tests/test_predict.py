"""One text and many, options, limits, refusals: by `Client` and by `AsyncClient` alike."""

import pickle
import unittest

import grpc
from support import BOUND_S, keys, run, scratch, shared

import tandem_text
from tandem_text import Client, InvalidArgument, NotFound, names
from tandem_text._stubs import model_service_pb2, prediction_pb2

GOOD, BAD = "정말 재미있게 봤어요", "시간이 아까운 영화"


def call(address, method, *args, **kwargs):
    """The answer of a method, or what it raised, by each client; and they are the same."""

    def outcome(function):
        try:
            return function()
        except Exception as error:  # noqa: BLE001
            return error

    def by_threads():
        with Client(address, **kwargs.pop("client", {})) as client:
            return getattr(client, method)(*args, **kwargs)

    async def by_asyncio():
        async with tandem_text.AsyncClient(address, **options) as client:
            return await getattr(client, method)(*args, **kwargs)

    options = dict(kwargs.get("client", {}))
    first = outcome(by_threads)
    second = outcome(lambda: run(by_asyncio()))
    assert type(first) is type(second), (first, second)
    return first, second


class Predict(unittest.TestCase):
    def both(self, method, *args, server=None, **kwargs):
        return call((server or shared()).address, method, *args, **kwargs)

    def fails(self, kind, method, *args, **kwargs):
        errors = self.both(method, *args, **kwargs)
        for error in errors:
            self.assertIs(type(error), kind, error)
        return errors[0]

    def test_one_text_is_one_answer_and_a_list_is_a_sequence(self):
        for answer in self.both("predict", GOOD, route="fast", top_k=2):
            self.assertEqual((answer.text, answer.label, answer.tier), (GOOD, "positive", "fast"))
            self.assertEqual(answer.decision, "requested")
            self.assertEqual(str(answer.model), "sentiment-fast@1")
            self.assertEqual([score.label for score in answer.scores], ["positive", "negative"])
            self.assertAlmostEqual(sum(score.score for score in answer.scores), 1, places=5)
            self.assertIsNone(answer.value)
        for answers in self.both("predict", (GOOD, BAD), route="cascade", min_confidence=1.0):
            self.assertEqual(answers.labels, ["positive", "negative"])
            self.assertEqual({one.decision for one in answers}, {"escalated"})
            self.assertEqual({model.tier for model in answers.models}, {"fast", "deep"})
            self.assertEqual(len(answers.timings), 1)
            self.assertGreater(answers.timings[0].total, 0)
        for answers in self.both("predict", []):
            self.assertEqual(list(answers), [])

    def test_a_long_text_is_read_in_windows_whose_places_are_those_of_the_string(self):
        long = "🎬 정말 재미있게 봤어요. " * 60 + "시간이 아까운 영화. " * 60
        options = {"truncation": "windows", "include_windows": True, "top_k": 1, "route": "cascade"}
        for answers in self.both("predict", [long, GOOD], **options):
            answer, short = answers
            self.assertEqual((answer.read_size_bytes, answer.truncated), (len(long.encode()), False))
            self.assertGreater(len(answer.windows), 2)
            self.assertEqual((answer.windows[0].start, answer.windows[-1].end), (0, len(long)))
            for one in answer.windows:
                self.assertEqual(long[: one.start].encode(), long.encode()[: one.start_byte])
                self.assertEqual(long[: one.end].encode(), long.encode()[: one.end_byte])
                self.assertEqual((one.scores[0].label, one.value), (one.label, None))
                self.assertIn(one.tier, ("fast", "deep"))
                self.assertGreater(one.token_count, 0)
            self.assertEqual({one.label for one in answer.windows}, {"positive", "negative"})
            self.assertEqual((short.windows[0].start, short.windows[0].end_byte), (0, len(GOOD.encode())))
        for answer in self.both("predict", long, truncation="windows", route="fast"):
            self.assertEqual((answer.windows, answer.read_size_bytes), ((), len(long.encode())))
        for answer in self.both("predict", long, truncation="end", route="fast", include_windows=True):
            self.assertEqual((answer.windows, answer.read_size_bytes, answer.truncated), ((), 0, True))

    def test_an_answer_tells_the_cascades_threshold_and_whether_it_was_withheld(self):
        (task,), _ = self.both("tasks")
        for asked, stands in ((None, task.cascade.min_confidence), (0.75, 0.75)):
            for answer in self.both("predict", GOOD, route="cascade", min_confidence=asked):
                self.assertAlmostEqual(answer.min_confidence, stands, places=6)
        for answers in self.both("predict", [GOOD, BAD], route="deep"):
            self.assertEqual([one.min_confidence for one in answers], [None, None])
        # No answer of the fast model is so sure.
        for answer in self.both("predict", GOOD, server=shared("--config", withholding()), route="fast"):
            self.assertEqual((answer.decision, answer.label, answer.tier), ("abstained", "", "fast"))
            self.assertEqual([(score.label, score.selected) for score in answer.scores], [("positive", False)])
            self.assertGreater(answer.confidence, 0.9)
        error = self.fails(tandem_text.FailedPrecondition, "predict", GOOD, route="cascade", min_precision=0.999999)
        self.assertEqual(error.reason, "CASCADE_NOT_CALIBRATED")
        error = self.fails(InvalidArgument, "predict", GOOD, route="cascade", min_precision=1)
        self.assertEqual(error.violations[0].field, "min_precision")

    def test_more_texts_than_the_server_takes_are_split_and_keep_their_order(self):
        server = shared("--max-texts", "4")
        texts = [GOOD if at % 3 else BAD for at in range(130)]
        for answers in self.both("predict", texts, server=server, route="fast"):
            self.assertEqual([one.text for one in answers], texts)
            self.assertEqual(answers.labels, ["positive" if at % 3 else "negative" for at in range(130)])
            self.assertEqual(len(answers.timings), 33)
        # So few that the client sends them before it has asked for the limits: the refusal tells it.
        for answers in self.both("predict", texts[:9], server=server, route="fast"):
            self.assertEqual(len(answers.timings), 3)
        for limits in self.both("limits", server=server):
            self.assertEqual((limits.max_texts, limits.max_text_bytes), (4, 16384))
        for explanations in self.both("explain", texts[:20], server=server, max_contributions=1):
            self.assertEqual([one.text for one in explanations], texts[:20])

    def test_an_error_counts_texts_over_the_whole_call_and_holds_none(self):
        texts = [GOOD] * 200 + ["비밀" * 10_000]
        error = self.fails(InvalidArgument, "predict", texts, route="fast")
        self.assertEqual(error.code, grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(error.reason, "INVALID_FIELD")
        self.assertEqual(error.violations[0].field, "texts[200]")
        self.assertIn("the limit is 16384", error.violations[0].description)
        self.assertIn("texts[200]", str(error))
        self.assertNotIn("비밀", str(error) + repr(error))
        self.assertTrue(error.request_id)
        self.assertIsInstance(error, ValueError)
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((again.violations, str(again)), (error.violations, str(error)))

    def test_what_the_server_refuses_is_an_exception_of_its_own(self):
        error = self.fails(NotFound, "predict", GOOD, model="none")
        self.assertEqual(error.reason, "MODEL_NOT_FOUND")
        error = self.fails(NotFound, "model", "none")
        self.assertEqual(error.code, grpc.StatusCode.NOT_FOUND)
        error = self.fails(tandem_text.Unimplemented, "explain", GOOD, route="deep")
        self.assertEqual(error.reason, "NOT_EXPLAINABLE")
        error = self.fails(tandem_text.DeadlineExceeded, "predict", [GOOD] * 128, timeout=0.000001)
        self.assertIsInstance(error, TimeoutError)
        error = self.fails(InvalidArgument, "predict", GOOD, request_id="a-known-id", top_k=-1)
        self.assertEqual(error.request_id, "a-known-id")

    def test_what_can_not_be_sent_is_refused_by_its_name(self):
        for kind, said, args, kwargs in [
            (ValueError, "route is 'fats', it must be one of 'fast', 'deep', 'cascade'", [GOOD], {"route": "fats"}),
            (ValueError, "priority is 3", [GOOD], {"priority": 3}),
            (ValueError, "text_pairs holds 1 texts", [[GOOD, BAD]], {"text_pairs": [GOOD]}),
            (ValueError, "texts[1] holds a lone surrogate at 1", [[GOOD, "비\ud800"]], {}),
            (TypeError, "texts[1] is missing", [[GOOD, None]], {}),
            (TypeError, "texts[0] is missing", [[float("nan")]], {}),
            (TypeError, "texts[0] is of type int", [[1]], {}),
            (TypeError, "texts is bytes", [b"bytes"], {}),
            (TypeError, "min_confidense is no option", [GOOD], {"min_confidense": 0.5}),
            (TypeError, "top_k is of type str", [GOOD], {"top_k": "2"}),
            (TypeError, "min_precision is of type str", [GOOD], {"min_precision": "0.9"}),
            (TypeError, "include_windows is of type int", [GOOD], {"include_windows": 1}),
            (
                ValueError,
                "truncation is 'window', it must be one of 'end', 'start', 'reject', 'windows'",
                [GOOD],
                {"truncation": "window"},
            ),
            (ValueError, "timeout is 0", [GOOD], {"timeout": 0}),
        ]:
            error = self.fails(kind, "predict", *args, **kwargs)
            self.assertIn(said, str(error))

    def test_explanations_name_the_n_grams_and_add_up(self):
        text = "🎬 시간이 아까운 영화"
        for why in self.both("explain", text, max_contributions=100):
            for label in why.labels:
                listed = [one.contribution for one in label.supporting + label.opposing]
                self.assertAlmostEqual(label.bias + label.other_contribution + sum(listed), label.logit, places=3)
            ngrams = {ngram for one in why.labels[0].supporting for ngram in one.ngrams}
            self.assertTrue(any("아까" in ngram for ngram in ngrams), ngrams)
            for one in why.labels[0].supporting:
                for span in one.spans:
                    self.assertIn(text[span.start : span.end], one.ngrams)

    def test_tasks_tell_their_models_and_what_was_measured_of_the_cascade(self):
        for (task,) in self.both("tasks"):
            self.assertTrue(task.is_default)
            self.assertEqual((str(task.fast_model), str(task.deep_model)), ("sentiment-fast@1", "sentiment-deep@1"))
            thresholds = [point.min_confidence for point in task.cascade.curve]
            self.assertEqual(thresholds, sorted(thresholds))
            self.assertGreater(len(thresholds), 10)
            self.assertTrue(0 < task.cascade.escalated_share < 1)

    def test_every_value_of_the_protocols_enumerations_has_a_name(self):
        for known, enum, prefix in [
            (names.ROUTES, prediction_pb2.Route, "ROUTE"),
            (names.SCORE_KINDS, prediction_pb2.ScoreKind, "SCORE_KIND"),
            (names.TRUNCATIONS, prediction_pb2.Truncation, "TRUNCATION"),
            (names.PRIORITIES, prediction_pb2.Priority, "PRIORITY"),
            (names.DEFAULT_ROUTES, prediction_pb2.Route, "ROUTE"),
            (names.TIERS, prediction_pb2.Tier, "TIER"),
            (names.DECISIONS, prediction_pb2.Decision, "DECISION"),
            (names.STATES, prediction_pb2.ServingState, "SERVING_STATE"),
            (names.ROLES, model_service_pb2.VersionRole, "VERSION_ROLE"),
        ]:
            numbers = {name: number for name, number in enum.items() if number}
            by_name = {name: number for name, number in known.items() if isinstance(name, str)}
            by_name = by_name or {name: number for number, name in known.items()}
            self.assertEqual({f"{prefix}_{name.upper()}": number for name, number in by_name.items()}, numbers)


class Pauses(unittest.TestCase):
    """A key that may send four texts at once, and twenty a second."""

    def setUp(self):
        self.server = shared("--tokens-file", TOKENS())

    def test_a_refused_request_goes_again_after_the_pause_that_the_server_tells(self):
        with Client(self.server.address, token=f"{SLOW}\n", retries=100) as client:
            answers = client.predict([GOOD] * 12, route="fast", timeout=BOUND_S)
        self.assertEqual(answers.labels, ["positive"] * 12)
        # The refusal says that four is the most.
        self.assertEqual(len(answers.timings), 3)

    def test_a_request_of_many_bytes_goes_again_too(self):
        with Client(self.server.address, token=SLOW, retries=100, concurrency=1) as client:
            answers = client.predict(["x" * 16_000] * 12, route="fast", timeout=BOUND_S)
            self.assertEqual(len(answers), 12)
            outcomes = list(client.predict_stream(["x" * 16_000] * 12, route="fast", timeout=BOUND_S))
            self.assertEqual(len(outcomes), 12)

    def test_a_pause_that_is_longer_than_the_time_is_not_waited_for(self):
        with Client(self.server.address, token=NEVER) as client:
            client.predict([GOOD] * 120, route="fast")
            with self.assertRaises(tandem_text.ResourceExhausted) as caught:
                client.predict([GOOD] * 120, route="fast", timeout=30)
        self.assertEqual(caught.exception.reason, "RATE_LIMITED")
        self.assertGreater(caught.exception.retry_delay, 30)

    def test_without_a_key_there_is_no_answer(self):
        for token in (None, "unknown-0123456789-unknown"):
            with Client(self.server.address, token=token) as client:
                self.assertEqual(client.check(), "SERVING")
                with self.assertRaises(tandem_text.Unauthenticated):
                    client.predict(GOOD)


def withholding():
    """A configuration by which no answer of the task is sure enough."""
    path = scratch() / "withholding.toml"
    path.write_text('[tasks.sentiment]\nfast = "sentiment-fast"\n[tasks.sentiment.abstain]\nmin_confidence = 1.0\n')
    return str(path)


SLOW, NEVER = "slow-0123456789-0123456789", "never-0123456789-0123456789"


def TOKENS(made=[]):  # noqa: B006, N802
    if not made:
        made.append(keys(f"slow:{SLOW} texts_per_second=20 burst=4\nnever:{NEVER} texts_per_second=1 burst=120\n"))
    return made[0]


if __name__ == "__main__":
    unittest.main()
