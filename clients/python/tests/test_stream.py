"""PredictStream as an iterator: order, slow sources, refusals, servers that end, callers that leave."""

import asyncio
import threading
import unittest

from support import Server, run, shared

import tandem_text
from tandem_text import AsyncClient, Client, InvalidArgument, Prediction

GOOD, BAD = "정말 재미있게 봤어요", "시간이 아까운 영화"
TOO_LONG = "비밀" * 10_000


def texts(count):
    return [f"{GOOD if at % 3 else BAD} {at}" for at in range(count)]


def labels(count):
    return ["positive" if at % 3 else "negative" for at in range(count)]


class Stream(unittest.TestCase):
    def test_answers_come_in_the_order_of_the_texts_from_any_iterable(self):
        with Client(shared().address) as client:
            answers = list(client.predict_stream((text for text in texts(500)), route="fast"))
            self.assertEqual(list(client.predict_stream([])), [])
        self.assertEqual([one.text for one in answers], texts(500))
        self.assertEqual([one.label for one in answers], labels(500))

    def test_so_do_those_of_asyncio_from_both_kinds_of_iterables(self):
        async def source():
            for text in texts(500):
                yield text

        async def main():
            async with AsyncClient(shared().address) as client:
                for given in (source(), texts(500)):
                    answers = [one async for one in client.predict_stream(given, route="fast")]
                    self.assertEqual([one.text for one in answers], texts(500))
                    self.assertEqual([one.label for one in answers], labels(500))
                self.assertEqual([one async for one in client.predict_stream([])], [])

        run(main())

    def test_an_answer_does_not_wait_for_the_next_text(self):
        heard = threading.Event()

        def source():
            yield GOOD
            # Only once the first was answered; a client that gathers a batch first would never get there.
            assert heard.wait(60)
            yield BAD

        with Client(shared().address) as client:
            answers = client.predict_stream(source(), route="fast")
            self.assertEqual(next(answers).label, "positive")
            heard.set()
            self.assertEqual([one.label for one in answers], ["negative"])

        async def main():
            queue = asyncio.Queue()

            async def source():
                while True:
                    yield await queue.get()

            async with AsyncClient(shared().address) as client:
                answers = client.predict_stream(source(), route="fast")
                for text, label in ((GOOD, "positive"), (BAD, "negative")):
                    await queue.put(text)
                    self.assertEqual((await answers.__anext__()).label, label)
                await answers.aclose()

        run(main())

    def test_a_source_is_not_read_far_ahead_and_is_left_when_the_caller_leaves(self):
        read = []
        with Client(shared().address) as client:
            answers = client.predict_stream((read.append(text) or text for text in texts(100_000)), route="fast")
            for _ in range(10):
                next(answers)
            self.assertLess(len(read), 1000)
            answers.close()
            self.assertEqual(client.check(), "SERVING")

    def test_a_text_that_is_refused_ends_the_stream_or_fails_alone(self):
        given = texts(100)
        given[70] = TOO_LONG
        with Client(shared().address) as client:
            seen = []
            with self.assertRaises(InvalidArgument) as caught:
                for one in client.predict_stream(given, route="fast"):
                    seen.append(one)
            self.assertEqual(caught.exception.violations[0].field, "texts[70]")
            self.assertNotIn("비밀", str(caught.exception))
            self.assertLessEqual(len(seen), 70)

            outcomes = list(client.predict_stream(given, route="fast", return_errors=True))
            self.assertEqual([at for at, one in enumerate(outcomes) if not isinstance(one, Prediction)], [70])
            self.assertEqual(outcomes[70].violations[0].field, "texts[70]")

            with self.assertRaises(tandem_text.NotFound):
                list(client.predict_stream(given, model="none"))

    def test_what_the_source_raises_is_raised_after_the_answers_before_it(self):
        def source(bad):
            yield from texts(50)
            yield bad()

        for bad, kind in [
            (lambda: 1 // 0, ZeroDivisionError),
            (lambda: None, TypeError),
            (lambda: "\ud800", ValueError),
        ]:
            seen = []
            with Client(shared().address) as client, self.assertRaises(kind):
                for one in client.predict_stream(source(bad), route="fast"):
                    seen.append(one)
            self.assertEqual(len(seen), 50)

            async def main(seen, bad):
                async with AsyncClient(shared().address) as client:
                    async for one in client.predict_stream(source(bad), route="fast"):
                        seen.append(one)

            seen = []
            with self.assertRaises(kind):
                run(main(seen, bad))
            self.assertEqual(len(seen), 50)

    def test_what_can_not_be_streamed_is_refused_at_once(self):
        with Client(shared().address) as client:
            for kind, args, kwargs in [
                (TypeError, [GOOD], {}),
                (ValueError, [[GOOD]], {"batch_size": 0}),
                (ValueError, [[GOOD]], {"route": "fats"}),
            ]:
                with self.assertRaises(kind):
                    client.predict_stream(*args, **kwargs)
            with self.assertRaises(tandem_text.DeadlineExceeded):
                list(client.predict_stream(texts(100), timeout=0.000001))

    def test_a_server_that_takes_fewer_texts_gets_fewer(self):
        with Client(shared("--max-texts", "4").address) as client:
            self.assertEqual([one.label for one in client.predict_stream(texts(50), route="fast")], labels(50))


class Ends(unittest.TestCase):
    """Servers that end in the middle of a stream."""

    def test_what_one_server_did_not_answer_another_does(self):
        servers = [Server("--drain-pause", "0s"), Server("--drain-pause", "0s")]
        gone = threading.Event()

        def source():
            yield from texts(100)
            assert gone.wait(60)
            yield from texts(200)[100:]

        with Client([server.address for server in servers]) as client:
            seen = []
            for one in client.predict_stream(source(), route="fast"):
                seen.append(one)
                if len(seen) == 50:
                    # The one that has the stream. It ends the stream, and then itself.
                    busy, other = sorted(servers, key=lambda server: -server.texts())
                    busy.terminate()
                    busy.process.wait()
                    gone.set()
            self.assertEqual([one.text for one in seen], texts(200))
            self.assertEqual([one.label for one in seen], labels(200))
            self.assertGreaterEqual(other.texts(), 100)
            self.assertEqual(client.predict(GOOD, route="fast").label, "positive")

    def test_without_another_server_the_stream_ends_with_an_error(self):
        server = Server()
        with Client(server.address, retries=1) as client:
            answers = client.predict_stream(iter(lambda: GOOD, None), route="fast")
            next(answers)
            server.kill()
            with self.assertRaises(tandem_text.Unavailable) as caught:
                for _ in answers:
                    pass
        self.assertIsInstance(caught.exception, ConnectionError)


if __name__ == "__main__":
    unittest.main()
