"""What goes out next on a PredictStream, and in which order its answers come out: without threads, clocks or channels.

Texts wait in a queue until a request may go, and then go together, up to a batch. While few requests are open texts
go as they come; while many are, texts gather. So a slow source is answered at once, and a fast one in large batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import grpc

from . import messages
from ._stubs import prediction_pb2
from .batch_size import burst_of
from .errors import InvalidArgument, TandemError, Unavailable, counted_from, from_status
from .messages import Maker
from .results import Prediction
from .retry import pause

#: Requests that are open, or whose answers wait for an earlier one.
WINDOW = 8

Outcome = Union[Prediction, TandemError]


@dataclass
class _Batch:
    start: int
    texts: Sequence[str]
    pairs: Sequence[str]
    attempts: int = 0
    #: When it may go again.
    due: float = 0.0

    def __len__(self) -> int:
        return len(self.texts)

    def pieces(self, size: int) -> list[_Batch]:
        """The same texts in smaller batches."""
        cuts = range(0, len(self), size)
        return [_Batch(self.start + at, self.texts[at : at + size], self.pairs[at : at + size]) for at in cuts]


class Flow:
    """The state of one stream of texts, over all the calls that it takes."""

    def __init__(self, make: Maker, *, batch_size: int, timeout: float, retries: int, keep_errors: bool) -> None:
        self._make = make
        self._batch_size = batch_size
        self._timeout_ns = int(timeout * 1e9)
        self._retries = retries
        self._keep_errors = keep_errors
        #: Texts that no batch has yet.
        self._waiting: deque[tuple[str, str]] = deque()
        self._paired: Optional[bool] = None
        self._count = 0
        self._source_ended = False
        self._source_error: Optional[BaseException] = None
        #: Batches to be sent again, and those that were sent and are not answered, by their id.
        self._again: list[_Batch] = []
        self._open: dict[str, _Batch] = {}
        self._sent = 0
        #: Outcomes by the number of their first text; those before `_next` were given out.
        self._done: dict[int, list[Outcome]] = {}
        self._next = 0
        #: Calls that broke since the last answer.
        self._breaks = 0

    # The source.

    def wants_more(self) -> bool:
        """Whether the source should be read on."""
        return len(self._waiting) < self._batch_size

    def offer(self, item: Any) -> None:
        """Takes the next text, or a pair of texts."""
        at = self._count + len(self._waiting)
        paired = isinstance(item, tuple)
        if paired and len(item) != 2:
            raise ValueError(f"texts[{at}] has {len(item)} parts, a pair has 2")
        if self._paired not in (None, paired):
            raise ValueError(f"texts[{at}]: either all texts are pairs, or none")
        self._paired = paired
        text, pair = item if paired else (item, "")
        messages.check_text(f"texts[{at}]", text)
        messages.check_text(f"text_pairs[{at}]", pair)
        self._waiting.append((text, pair))

    def end_source(self, error: Optional[BaseException] = None) -> None:
        """There are no more texts: the source ended, or failed."""
        self._source_ended = True
        self._source_error = error

    # The requests.

    def sent_all(self) -> bool:
        """Whether nothing will have to be sent any more."""
        return self._source_ended and not self._waiting and not self._again and not self._open

    def next_request(self, now: float) -> Optional[prediction_pb2.PredictStreamRequest]:
        """The request that may go now, if there is one."""
        batch = next((one for one in self._again if one.due <= now), None)
        if batch is not None:
            self._again.remove(batch)
        elif self._waiting and len(self._open) + len(self._again) + len(self._done) < WINDOW:
            batch = self._new_batch()
        if batch is None:
            return None
        batch.attempts += 1
        self._sent += 1
        identifier = str(self._sent)
        self._open[identifier] = batch
        request = prediction_pb2.PredictStreamRequest(id=identifier, request=self._make(batch.texts, batch.pairs))
        request.timeout_duration.FromNanoseconds(self._timeout_ns)
        return request

    def wait(self, now: float) -> Optional[float]:
        """The seconds until a batch may go again; None if only something else can bring the next request."""
        return max(0.0, min(one.due for one in self._again) - now) if self._again else None

    def _new_batch(self) -> _Batch:
        size = min(self._batch_size, len(self._waiting))
        items = [self._waiting.popleft() for _ in range(size)]
        texts = [text for text, _ in items]
        batch = _Batch(self._count, texts, [pair for _, pair in items] if self._paired else [])
        self._count += size
        return batch

    # The answers.

    def take(self, answer: prediction_pb2.PredictStreamResponse, now: float) -> None:
        """Takes an answer of the server's."""
        batch = self._open.pop(answer.id, None)
        if batch is None:
            return
        self._breaks = 0
        if answer.WhichOneof("outcome") == "response":
            self._done[batch.start] = list(messages.predictions(batch.texts, answer.response))
        else:
            self._failed(batch, from_status(answer.status), now)

    def _failed(self, batch: _Batch, error: TandemError, now: float) -> None:
        wait = pause(error, batch.attempts, self._retries, None)
        burst = burst_of(error)
        if wait is not None:
            batch.due = now + wait
            self._again.append(batch)
        elif burst is not None and burst < len(batch):
            self._batch_size = min(self._batch_size, burst)
            self._again += batch.pieces(burst)
        elif self._keep_errors and len(batch) > 1 and isinstance(error, InvalidArgument):
            # One of them may be at fault: each goes alone, so that only that one fails.
            self._again += batch.pieces(1)
        else:
            outcomes: list[Outcome] = [counted_from(error, batch.start)]
            self._done[batch.start] = outcomes * len(batch)

    def broke(self, error: Optional[TandemError], left: Optional[float]) -> Optional[float]:
        """A call ended: what it did not answer goes again. The pause before the next call; None at the end.

        Without an error the server ended the call because it is about to end: it answered what it read.
        """
        unanswered = sorted(self._open.values(), key=lambda batch: batch.start)
        for batch in unanswered:
            batch.attempts -= 1
        self._open.clear()
        self._again = unanswered + self._again
        if error is None:
            if self._source_ended and not self._again and not self._waiting:
                return None
            error = Unavailable("the server ended the stream", code=grpc.StatusCode.UNAVAILABLE)
        self._breaks += 1
        wait = pause(error, self._breaks, self._retries, left)
        if wait is None:
            raise error
        return wait

    def outcomes(self) -> list[Outcome]:
        """What can be given out now, in the order of the texts."""
        found: list[Outcome] = []
        while self._next in self._done:
            outcomes = self._done.pop(self._next)
            self._next += len(outcomes)
            found += outcomes
        return found

    def raise_source_error(self) -> None:
        """Raises what the source raised, once all before it is answered."""
        if self._source_error is not None:
            raise self._source_error
