"""Bulk work: every text has its row, whatever becomes of servers, keys, programs and owners."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import unittest
from concurrent import futures
from pathlib import Path

import grpc
from support import BOUND_S, FAST, Server, keys, program, shared

import tandem_text
from tandem_text._stubs import error_details_pb2, prediction_pb2, status_pb2
from tandem_text.bulk import Answer, Bulk, Classifier
from tandem_text.pace import Pace
from tandem_text.program import Program, ProgramFailed

GOOD, BAD = "정말 재미있게 봤어요", "시간이 아까운 영화"
TOO_LONG = "비밀" * 10_000
KEY = "bulk-0123456789-0123456789"
OWN = [program(), *map(str, FAST)]


def texts(count):
    return [f"{GOOD if at % 3 else BAD} {at}" for at in range(count)]


def labels(count):
    return ["positive" if at % 3 else "negative" for at in range(count)]


def until(condition):
    """Waits for something that no event tells."""
    end = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def is_alive(pid):
    try:
        # One that ended and that nobody has asked after yet is not.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until_gone(pid):
    until(lambda: not is_alive(pid))


class Case(unittest.TestCase):
    def made(self, *args, **options):
        classifier = Classifier(Bulk(*args, **{"route": "fast", "request_timeout": BOUND_S, **options}))
        self.addCleanup(classifier.close)
        return classifier


class Rows(Case):
    def test_each_text_has_a_row_in_its_place(self):
        classifier = self.made(shared().address)
        given = texts(1000)
        answers = classifier.classify(given)
        self.assertEqual(answers.label, labels(1000))
        self.assertEqual(set(answers.error), {None})
        self.assertEqual(set(answers.model), {"sentiment-fast@1"})
        self.assertEqual(next(answers.rows()).decision, "requested")
        with tandem_text.Client(shared().address) as client:
            self.assertEqual(answers.score, client.predict(given, route="fast").confidences)
        self.assertEqual(list(classifier.classify([]).rows()), [])

    def test_a_text_at_fault_has_an_error_in_its_row_alone(self):
        given = texts(300)
        faults = {
            7: None,
            70: TOO_LONG,
            71: float("nan"),
            150: "\ud800",
            151: 5,
            **dict.fromkeys(range(200, 230), TOO_LONG),
        }
        for at, bad in faults.items():
            given[at] = bad
        answers = self.made(shared().address).classify(given)
        for at, row in enumerate(answers.rows()):
            if at in faults:
                self.assertEqual(row, Answer(error=row.error))
                self.assertTrue(row.error.startswith("INVALID_FIELD: the text "), row.error)
                self.assertNotIn("비밀", row.error)
            else:
                self.assertEqual((row.label, row.error), (labels(300)[at], None))
        self.assertIn("limit is 16384", answers.error[70])

    def test_it_is_bulk_work_by_the_options_that_were_given(self):
        self.assertEqual(Bulk("tandem").options, {"priority": "bulk"})
        self.assertEqual(Bulk("tandem", priority="normal").options["priority"], "normal")
        answers = self.made(shared().address, route="cascade", min_confidence=1.0).classify([GOOD])
        self.assertEqual((answers.tier, answers.decision), (["deep"], ["escalated"]))

    def test_what_no_server_can_do_is_raised(self):
        for options, kind in [
            ({"route": None, "model": "none"}, tandem_text.NotFound),
            ({"min_confidence": 2.0, "route": "cascade"}, tandem_text.InvalidArgument),
        ]:
            with self.assertRaises(kind):
                self.made(shared().address, **options).classify(texts(300))

    def test_mistakes_show_where_the_work_is_described(self):
        for said, kind, args, kwargs in [
            ("a target or a program", ValueError, [], {}),
            ("a target or a program", ValueError, ["tandem"], {"program": ["tandem"]}),
            ("give host:port", ValueError, ["https://tandem"], {}),
            ("batch_size is 0", ValueError, ["tandem"], {"batch_size": 0}),
            ("concurrency is 0", ValueError, ["tandem"], {"concurrency": 0}),
            ("timeout is 0", ValueError, ["tandem"], {"timeout": 0}),
            ("failures is 'row'", ValueError, ["tandem"], {"failures": "row"}),
            ("top_k does not go", ValueError, ["tandem"], {"top_k": 1}),
            ("client holds retries", ValueError, ["tandem"], {"client": {"retries": 1}}),
            ("rout is no option", TypeError, ["tandem"], {"rout": "fast"}),
        ]:
            with self.assertRaises(kind) as caught:
                Bulk(*args, **kwargs)
            self.assertIn(said, str(caught.exception))
        with self.assertRaises(ValueError):
            Program("tandem")

    def test_all_copies_in_a_process_share_one_classifier_and_another_process_has_its_own(self):
        bulk = Bulk(shared().address, route="fast")
        first = bulk.classifier()
        self.assertIs(pickle.loads(pickle.dumps(bulk)).classifier(), first)
        self.assertIsNot(Bulk(shared().address).classifier(), first)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            self.assertEqual(pool.apply(_labels, (bulk, texts(5))), labels(5))


def _labels(bulk, given):
    return bulk.classifier().classify(given).label


class Servers(Case):
    def test_a_server_that_has_no_room_is_given_time(self):
        server = Server("--max-queue-texts", "16", "--max-texts", "16")
        classifier = self.made(server.address)
        with futures.ThreadPoolExecutor(4) as pool:
            for answers in pool.map(classifier.classify, [texts(500)] * 4):
                self.assertEqual(answers.label, labels(500))
        self.assertEqual(server.texts(), 2000)

    def test_the_rate_of_a_key_is_kept_to(self):
        server = Server("--tokens-file", keys(f"bulk:{KEY} texts_per_second=200 burst=50\n"))
        classifier = self.made(server.address, client={"token": KEY})
        # More than the burst in one request, then more than the rate lets through at once.
        self.assertEqual(classifier.classify(texts(150)).label, labels(150))
        self.assertEqual(classifier.batch_size, 50)
        with self.assertRaises(tandem_text.Unauthenticated):
            self.made(server.address).classify([GOOD])

    def test_a_server_that_is_killed_in_the_middle_loses_and_doubles_nothing(self):
        servers = [Server(), Server()]
        classifier = self.made([server.address for server in servers], batch_size=16)
        given = texts(20_000)
        with futures.ThreadPoolExecutor(1) as pool:
            running = pool.submit(classifier.classify, given)
            until(lambda: all(server.texts() > 100 for server in servers))
            servers[0].kill()
            self.assertFalse(running.done())
            answers = running.result(BOUND_S)
        self.assertEqual(answers.label, labels(20_000))
        self.assertEqual(set(answers.error), {None})

    def test_without_a_server_the_rows_say_so_or_the_call_fails(self):
        gone = Server()
        classifiers = [
            self.made(gone.address, timeout=0.5, failures=failures, batch_size=4) for failures in ("rows", "raise")
        ]
        for classifier in classifiers:
            self.assertEqual(classifier.classify(texts(9)).label, labels(9))
        gone.kill()
        self.classify_without(*classifiers)
        # Those who never met one.
        self.classify_without(*(self.made(gone.address, timeout=0.5, failures=one) for one in ("rows", "raise")))

    def classify_without(self, rows, raises):
        answers = rows.classify([None, *texts(9)])
        self.assertEqual(set(answers.label), {None})
        self.assertIn("missing", answers.error[0])
        for error in answers.error[1:]:
            self.assertTrue(error.startswith(("UNAVAILABLE: ", "DEADLINE_EXCEEDED: ")), error)
        with self.assertRaises((tandem_text.Unavailable, tandem_text.TandemError)):
            raises.classify(texts(9))


class Failures(Case):
    """A server that is made to fail, as a real one does seldom."""

    def setUp(self):
        self.seen = []
        self.lock = threading.Lock()

        def predict(request, context):
            with self.lock:
                self.seen.append((request.priority, len(request.texts)))
                count = len(self.seen)
            if count == 1:
                # As if the connection broke: nobody says why.
                context.abort(grpc.StatusCode.UNKNOWN, "Stream removed")
            if "poison" in request.texts:
                status = status_pb2.Status(code=13, message="the model failed")
                detail = status.details.add()
                detail.Pack(error_details_pb2.ErrorInfo(reason="INFERENCE_FAILED"))
                context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
                context.abort(grpc.StatusCode.INTERNAL, "the model failed")
            answers = [prediction_pb2.Prediction(label=f"about {text}") for text in request.texts]
            return prediction_pb2.PredictResponse(predictions=answers)

        def health(request, context):
            return prediction_pb2.HealthResponse(max_text_count=64)

        handlers = {
            "Predict": grpc.unary_unary_rpc_method_handler(
                predict, prediction_pb2.PredictRequest.FromString, prediction_pb2.PredictResponse.SerializeToString
            ),
            "Health": grpc.unary_unary_rpc_method_handler(
                health, prediction_pb2.HealthRequest.FromString, prediction_pb2.HealthResponse.SerializeToString
            ),
        }
        server = grpc.server(futures.ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("tandem.v1.PredictionService", handlers)])
        self.port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(server.stop, None)

    def test_a_text_that_the_model_fails_at_costs_no_other_its_answer(self):
        given = texts(200)
        given[100] = "poison"
        answers = self.made(f"127.0.0.1:{self.port}").classify(given)
        self.assertEqual(answers.error[100], "INFERENCE_FAILED: the model failed")
        self.assertIsNone(answers.label[100])
        for at, text in enumerate(given):
            if at != 100:
                self.assertEqual((answers.label[at], answers.error[at]), (f"about {text}", None))
        self.assertEqual({priority for priority, _ in self.seen}, {prediction_pb2.PRIORITY_BULK})
        self.assertEqual(max(count for _, count in self.seen), 64)


@unittest.skipUnless(sys.platform == "linux", "the ends of processes are looked up in /proc")
class Programs(Case):
    def test_a_program_that_dies_is_started_again(self):
        classifier = self.made(program=OWN)
        self.assertEqual(classifier.classify(texts(300)).label, labels(300))
        first = classifier.program.pid
        os.kill(first, signal.SIGKILL)
        self.assertEqual(classifier.classify(texts(300)).label, labels(300))
        second = classifier.program.pid
        self.assertNotEqual(first, second)
        folder = Path(classifier.program.target.removeprefix("unix:")).parent
        self.assertEqual(folder.stat().st_mode & 0o077, 0)
        classifier.close()
        self.assertFalse(is_alive(second))
        self.assertFalse(folder.exists())

    def owner(self):
        """A process with a program of its own, which waits to be killed."""
        script = f"""
import sys
from tandem_text.bulk import Bulk
classifier = Bulk(program={OWN!r}, route="fast").classifier()
assert classifier.classify(["x"]).error == [None]
print(classifier.program.pid, classifier.program._process.pid, classifier.program.target, flush=True)
sys.stdin.read()
"""
        command = [sys.executable, "-c", script]
        owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(owner.wait)
        self.addCleanup(owner.kill)
        self.addCleanup(owner.stdin.close)
        self.addCleanup(owner.stdout.close)
        child, keeper, target = owner.stdout.readline().split()
        return owner, int(child), int(keeper), Path(target.removeprefix("unix:")).parent

    def test_a_program_goes_with_its_owner_however_that_ends(self):
        for end in (lambda owner: owner.kill(), lambda owner: owner.terminate(), lambda owner: owner.stdin.close()):
            owner, child, keeper, folder = self.owner()
            self.assertTrue(is_alive(child))
            end(owner)
            for pid in (child, keeper):
                until_gone(pid)
            self.assertFalse(folder.exists())

    def test_a_program_goes_with_its_keeper(self):
        _, child, keeper, _ = self.owner()
        os.kill(keeper, signal.SIGKILL)
        until_gone(child)

    def test_a_program_that_can_not_start_is_an_error_with_its_words(self):
        for command, said in [
            ([program(), "--models", "no-such-folder"], "no-such-folder"),
            (["no-such-program"], "no-such-program"),
        ]:
            with self.assertRaises(ProgramFailed) as caught:
                self.made(program=command).classify([GOOD])
            self.assertIn(said, str(caught.exception))


class Paces(unittest.TestCase):
    def answered(self, pace, seconds, windows):
        """So many windows of answers, while all places are taken."""
        for _ in range(windows):
            taken = 0
            while pace.take(0):
                taken += 1
            for _ in range(max(8, 2 * pace.limit)):
                pace.answered(seconds)
            for _ in range(taken):
                pace.give_back()

    def test_it_grows_while_answers_come_and_halves_at_a_refusal(self):
        pace = Pace(6)
        self.assertEqual(pace.limit, 2)
        self.answered(pace, 0.1, 1)
        self.assertEqual(pace.limit, 3)
        self.answered(pace, 0.1, 10)
        self.assertEqual(pace.limit, 6)
        pace.refused(now=10.0)
        # The refusals of one moment are one.
        pace.refused(now=10.1)
        self.assertEqual(pace.limit, 3)
        for at in range(11, 20):
            pace.refused(now=float(at))
        self.assertEqual(pace.limit, 1)
        self.answered(pace, 0.1, 1)
        self.assertEqual(pace.limit, 2)

    def test_it_shrinks_when_answers_get_slow_and_not_for_a_little(self):
        pace = Pace(6)
        self.answered(pace, 0.1, 10)
        self.answered(pace, 0.3, 3)
        self.assertLess(pace.limit, 6)
        quick = Pace(6)
        self.answered(quick, 0.001, 10)
        self.answered(quick, 0.01, 3)
        self.assertEqual(quick.limit, 6)

    def test_there_are_no_more_places_than_its_limit(self):
        pace = Pace(1)
        self.assertTrue(pace.take(0))
        self.assertFalse(pace.take(0))
        pace.give_back()
        self.assertTrue(pace.take(0))


if __name__ == "__main__":
    unittest.main()
