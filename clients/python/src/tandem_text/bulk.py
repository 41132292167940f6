"""Many texts for engines that spread work over processes: what `beam`, `spark` and `ray` have in common.

>>> from tandem_text.bulk import Bulk
>>> bulk = Bulk("localhost:50051", route="fast")
>>> answers = bulk.classifier().classify(["정말 재미있게 봤어요", None, "시간이 아까운 영화"])
>>> answers.label, answers.error[1]
(['positive', None, 'negative'], 'INVALID_FIELD: the text is missing, it must be a string')

A `Bulk` says what is asked of whom. It can be pickled, and goes to the workers. There `classifier()` gives the one
`Classifier` of the process, which all its threads share.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Callable, Literal, NamedTuple, Optional, Union

import grpc

from . import connection as to
from . import messages, names, retry
from .batch_size import USUAL, burst_of, is_about_count
from .client import Client
from .connection import Deadline
from .errors import InvalidArgument, ResourceExhausted, TandemError
from .pace import Pace
from .program import Program, ProgramFailed

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .messages import Options

__all__ = ["Answer", "Answers", "Bulk", "Classifier"]

#: What engines have no column for.
_NOT_ASKED = ("top_k", "score_kind", "include_windows")
_CLIENTS_OWN = ("target", "request_timeout", "retries", "concurrency")
#: Pauses grow no further after so many tries.
_TRIES = 10
#: The pause after a request that took too long.
_LATE_S = 0.5
#: Another try may bring what this one did not.
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED)
#: So too if the server itself did not say it: a connection that broke.
_PASSING_UNSAID = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED)


class Answer(NamedTuple):
    """What became of one text: an answer, or an error in its place.

    >>> from tandem_text.bulk import Answer
    >>> Answer(label="positive", score=0.99, tier="fast", decision="requested").error is None
    True
    """

    #: The winning label; None with an error. Empty where the decision is "abstained".
    label: Optional[str] = None
    #: The probability of the label, from 0 to 1.
    score: Optional[float] = None
    #: Which tier answered, "fast" or "deep", and why that one: "requested", "confident", "escalated" and so on.
    tier: Optional[str] = None
    decision: Optional[str] = None
    #: The model that answered, as name@version.
    model: Optional[str] = None
    #: The reason and what is wrong, never the text; None if it was answered.
    error: Optional[str] = None


class Answers(NamedTuple):
    """The answers for a list of texts, by columns, each as long as the list: the fields of `Answer`."""

    label: list[Optional[str]]
    score: list[Optional[float]]
    tier: list[Optional[str]]
    decision: list[Optional[str]]
    model: list[Optional[str]]
    error: list[Optional[str]]

    @classmethod
    def empty(cls, count: int) -> Answers:
        """So many rows in which nothing stands yet."""
        columns: Any = [[None] * count for _ in cls._fields]
        return cls(*columns)

    def rows(self) -> Iterator[Answer]:
        """An `Answer` for each text."""
        return map(Answer._make, zip(*self))


class Bulk:
    """What to ask, and whom: a fleet of servers, or a program that each process starts for itself.

    >>> import pickle
    >>> from tandem_text.bulk import Bulk
    >>> bulk = Bulk(["127.0.0.1:50051", "127.0.0.1:50052"], route="cascade", timeout=60)
    >>> pickle.loads(pickle.dumps(bulk)).options["priority"]
    'bulk'

    Arguments, of which `target` or `program` must be there:

    - `target`: as in `Client`: `host:port`, `dns:///name:port`, a list of numeric addresses. Requests are spread.
    - `program`: the program and flags of its `serve`, such as `["tandem", "--models", "models"]`, to be run by each
      process that classifies, on a socket of its own; it ends with the process.
    - `client`: more arguments of `Client`: ca, cert, key, server_name, token, health_check, metadata. They are pickled:
      a token should be a function that reads it where it is needed.
    - `batch_size`: the most texts of a request; fewer where the server says so.
    - `concurrency`: the most requests of a process under way at a time. How many there are follows from what the
      servers bear: one more after each few good answers, half as many after a refusal.
    - `timeout`: the seconds after which a request that is refused again and again is given up.
    - `request_timeout`: the seconds that one try may take.
    - `failures`: what becomes of texts whose request was given up: "rows" puts the error into their rows, "raise"
      raises it, so that the engine tries again.

    The rest is as in `Client.predict`: route, task, model, truncation, min_confidence, min_precision, allow_fallback,
    and priority, which is "bulk" unless you say otherwise.
    """

    def __init__(
        self,
        target: Union[str, Sequence[str], None] = None,
        *,
        program: Optional[Sequence[str]] = None,
        client: Optional[Mapping[str, Any]] = None,
        batch_size: int = USUAL,
        concurrency: int = 8,
        timeout: float = 300.0,
        request_timeout: float = 30.0,
        failures: Literal["rows", "raise"] = "rows",
        **options: Unpack[Options],
    ) -> None:
        if (target is None) == (program is None):
            raise ValueError("give a target or a program, one of them")
        for name, count in (("batch_size", batch_size), ("concurrency", concurrency)):
            if count < 1:
                raise ValueError(f"{name} is {count}, it must be at least 1")
        for name, seconds in (("timeout", timeout), ("request_timeout", request_timeout)):
            if not seconds > 0:
                raise ValueError(f"{name} is {seconds}, it must be above 0")
        if failures not in ("rows", "raise"):
            raise ValueError(f"failures is {failures!r}, it must be 'rows' or 'raise'")
        for name in _CLIENTS_OWN:
            if name in (client or {}):
                raise ValueError(f"client holds {name}, which is an argument of its own")
        for name in _NOT_ASKED:
            if options.get(name) is not None:
                raise ValueError(f"{name} does not go with bulk work: the rows have no place for it")
        self.target = target
        self.program = None if program is None else tuple(program)
        self.client = dict(client or {})
        self.batch_size = batch_size
        self.concurrency = concurrency
        self.timeout = timeout
        self.request_timeout = request_timeout
        self.failures = failures
        self.options: Options = {"priority": "bulk", **options}
        # Mistakes show here, not at the workers.
        messages.maker(self.options)
        if target is not None:
            to.address(target)
        self._id = uuid.uuid4().hex

    def classifier(self) -> Classifier:
        """The classifier of this process, made when it is first asked for.

        All copies of one `Bulk` that come to a process get the same; it ends with the process.
        """
        key = (os.getpid(), self._id)
        with _LOCK:
            found = _CLASSIFIERS.get(key)
            if found is None:
                found = _CLASSIFIERS[key] = Classifier(self)
                atexit.register(found.close)
            return found


_CLASSIFIERS: dict[tuple[int, str], Classifier] = {}
_LOCK = threading.Lock()


def _unlocked() -> None:
    """In a process that was forked: the lock may be held by a thread that is not here."""
    global _LOCK
    _LOCK = threading.Lock()
    _CLASSIFIERS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlocked)


class Classifier:
    """Classifies lists of texts for one process. Used by many threads, which share its connections and its pace."""

    def __init__(self, bulk: Bulk) -> None:
        self._bulk = bulk
        #: The server that is this process's own, if it has one.
        self.program = None if bulk.program is None else Program(bulk.program)
        target = bulk.target if self.program is None else self.program.target
        assert target is not None
        self._client = Client(target, retries=0, request_timeout=bulk.request_timeout, **bulk.client)
        self._make = messages.maker(bulk.options)
        #: How many requests are under way at a time.
        self.pace = Pace(bulk.concurrency)
        self._pool = ThreadPoolExecutor(bulk.concurrency, thread_name_prefix="tandem-bulk")
        self._size: Optional[int] = None

    @property
    def batch_size(self) -> Optional[int]:
        """How many texts go together, as far as the servers were asked or refused more; None before the first text."""
        return self._size

    def close(self) -> None:
        """Ends the connections, and the program if there is one."""
        self._pool.shutdown(wait=False)
        self._client.close()
        if self.program is not None:
            self.program.close()

    def classify(self, texts: Sequence[Any]) -> Answers:
        """A row for each text, in their order, whatever becomes of it.

        Raises `TandemError` where no text can be answered: an option that the server refuses, a key that it does not
        know, a program that does not start; with `failures="raise"` also when a request was given up.
        """
        answers = Answers.empty(len(texts))
        places = []
        for at, text in enumerate(texts):
            try:
                messages.check_text("the text", text)
            except (TypeError, ValueError) as error:
                answers.error[at] = f"INVALID_FIELD: {error}"
            else:
                places.append(at)
        if not places:
            return answers
        stop = threading.Event()
        try:
            size = self._batch_size(stop)
        except TandemError as error:
            if self._bulk.failures == "raise" or not passes(error):
                raise
            for at in places:
                answers.error[at] = _said(error)
            return answers
        parts = [places[start : start + size] for start in range(0, len(places), size)]
        futures = [self._pool.submit(self._part, texts, part, answers, stop) for part in parts]
        try:
            for future in futures:
                future.result()
        finally:
            # After a failure: those that wait need not begin.
            stop.set()
            for future in futures:
                future.cancel()
        return answers

    def _batch_size(self, stop: threading.Event) -> int:
        """How many texts go together: the server is asked once."""
        if self._size is None:
            deadline = Deadline(self._bulk.timeout)
            limits = self._persistently(lambda left: self._client.limits(timeout=left), deadline, stop)
            self._size = max(1, min(self._bulk.batch_size, limits.max_texts or USUAL))
        return self._size

    def _part(self, texts: Sequence[Any], part: Sequence[int], answers: Answers, stop: threading.Event) -> None:
        """Asks about the texts at some places until each has its row."""
        waiting = [list(part)]
        while waiting and not stop.is_set():
            places = waiting.pop()
            try:
                self._ask([texts[at] for at in places], places, answers, stop)
            except TandemError as error:
                at_fault = _at_fault(error, len(places))
                pieces = self._pieces(error, len(places))
                if at_fault:
                    for index, said in at_fault.items():
                        answers.error[places[index]] = said
                    rest = [at for index, at in enumerate(places) if index not in at_fault]
                    waiting += [rest] if rest else []
                elif pieces < len(places):
                    waiting += [places[start : start + pieces] for start in range(0, len(places), pieces)]
                elif _spares_others(error) or (self._bulk.failures == "rows" and passes(error)):
                    for at in places:
                        answers.error[at] = _said(error)
                else:
                    raise

    def _pieces(self, error: TandemError, count: int) -> int:
        """How many of the texts of a request that failed should go together; all of them if it is not their number."""
        burst = burst_of(error)
        if burst is not None and burst < count:
            # What the caller's key may send at once.
            self._size = min(self._size or burst, burst)
            return burst
        if isinstance(error, InvalidArgument) and is_about_count(error):
            # The server takes fewer than it said, or another server of the fleet does.
            self._size = min(self._size or count, max(1, count // 2))
            return max(1, count // 2)
        return max(1, count // 2) if _spares_others(error) else count

    def _ask(self, texts: Sequence[str], places: Sequence[int], answers: Answers, stop: threading.Event) -> None:
        """One request, and its answers into the rows."""
        request = self._make(texts, ())
        calls = self._client._calls

        def call(left: float) -> Any:
            began = time.monotonic()
            answer = calls.call(to.PREDICT, request, Deadline(left))
            if len(texts) == self._size:
                self.pace.answered(time.monotonic() - began)
            return answer

        answer = self._persistently(call, Deadline(self._bulk.timeout), stop)
        models = {one.tier: f"{one.name}@{one.version}" for one in answer.models}
        for at, one in zip(places, answer.predictions):
            answers.label[at] = one.label
            answers.score[at] = one.confidence
            answers.tier[at] = names.TIERS.get(one.tier, "unknown")
            answers.decision[at] = names.DECISIONS.get(one.decision, "unknown")
            answers.model[at] = models.get(one.tier)

    def _persistently(self, call: Callable[[float], Any], deadline: Deadline, stop: threading.Event) -> Any:
        """One call, at the pace, again while another try may help. A refused one keeps its place while it pauses."""
        self.pace.take()
        try:
            attempt = 0
            while True:
                attempt += 1
                try:
                    if self.program is not None:
                        self.program.ensure(deadline)
                    left = deadline.left() or 0.0
                    if left <= 0:
                        raise TandemError("there is no time left", code=grpc.StatusCode.DEADLINE_EXCEEDED)
                    return call(min(left, self._bulk.request_timeout))
                except TandemError as error:
                    wait = _pause(error, attempt, deadline.left() or 0.0)
                    if wait is None or stop.is_set():
                        raise
                    self.pace.refused()
                stop.wait(wait)
        finally:
            self.pace.give_back()


def passes(error: TandemError) -> bool:
    """Whether another try may bring what this one did not."""
    if isinstance(error, ProgramFailed):
        return False
    return error.code in _PASSING or (not error.reason and error.code in _PASSING_UNSAID)


def _pause(error: TandemError, attempt: int, left: float) -> Optional[float]:
    """The seconds to wait before the next try; None if there should be none."""
    tries = min(attempt, _TRIES)
    if not passes(error):
        return None
    if error.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
        return retry.pause(error, tries, tries, left)
    return _LATE_S if left > _LATE_S else None


def _at_fault(error: TandemError, count: int) -> dict[int, str]:
    """What is wrong with single texts of a request, by their places in it; nothing if something else is wrong too."""
    found = {}
    for one in error.violations:
        name, _, place = one.field.partition("[")
        number = place.rstrip("]")
        if name != "texts" or not number.isdecimal() or int(number) >= count:
            return {}
        found[int(number)] = f"{error.reason or error.code.name}: the text {one.description}"
    return found


def _spares_others(error: TandemError) -> bool:
    """Whether a part of the request may be to blame for its failure: one text that the model fails at, or that makes
    the message too large."""
    if error.code == grpc.StatusCode.INTERNAL:
        return bool(error.reason)
    return isinstance(error, ResourceExhausted) and error.retry_delay is None


def _said(error: TandemError) -> str:
    return f"{error.reason or error.code.name}: {error.message}"
