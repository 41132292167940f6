"""The client for programs with threads, or with none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Optional, TypeVar, Union, cast, overload

import grpc

from . import connection as to
from . import messages, streaming, tables
from . import tasks as several
from ._stubs import health_pb2, model_service_pb2, prediction_pb2
from .batch_size import EXPLAINED
from .calls import Calls
from .connection import Deadline, Pem, Token
from .errors import TandemError, Unavailable, from_rpc_error
from .flow import Flow
from .messages import Options, Texts
from .names import STATUSES, Route, ServingStatus, Truncation
from .results import Explanation, Prediction, Predictions
from .server import Health, Limits, Model, Task

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["Client"]

_Table = TypeVar("_Table")


class Client:
    """A client of one Tandem server, or of several that are alike.

    >>> from tandem_text import Client
    >>> client = Client("localhost:50051")
    >>> for answer in client.predict(["정말 재미있게 봤어요", "시간이 아까운 영화"], route="cascade"):
    ...     print(answer.label, answer.decision)
    positive confident
    negative confident
    >>> client.close()

    `target` is `host:port` (50051 without a port), `unix:/path`, a list of numeric addresses, or any target of gRPC
    such as `dns:///name:port`. Calls are spread over all addresses of it.

    A client may be used by many threads. Make it after a fork, not before.

    Keyword arguments:

    - `tls`: True for TLS; on by itself with `ca` or `cert`.
    - `ca`: the authorities that may have signed the server's certificate, PEM: a path, or bytes. gRPC's own list if
      left out.
    - `cert`, `key`: the certificate by which the client shows itself, and its key, PEM.
    - `server_name`: the name in the server's certificate, where the address is not that name.
    - `token`: the key that the server knows this caller by, or a function that gives the one of the moment.
      Without TLS it can be read on the way.
    - `request_timeout`: seconds that one request may take, retries included, in calls without a `timeout`. A call with
      more texts than the server takes at once is several requests.
    - `retries`: how often a request that may be tried again is, after the pause that the server tells.
    - `concurrency`: how many requests of one call are under way at a time.
    - `compression`: "gzip" to compress requests.
    - `health_check`: True to send calls only to servers that say they serve (by `grpc.health.v1.Health/Watch`). Of use
      with several servers; with one, a server that is partly out of order is then no server at all.
    - `metadata`: more metadata for each call; `options`: more options for the channel, which go before ours.
    """

    def __init__(
        self,
        target: Union[str, Sequence[str]] = "localhost:50051",
        *,
        tls: Optional[bool] = None,
        ca: Optional[Pem] = None,
        cert: Optional[Pem] = None,
        key: Optional[Pem] = None,
        server_name: Optional[str] = None,
        token: Optional[Token] = None,
        request_timeout: float = 10.0,
        retries: int = 4,
        concurrency: int = 4,
        compression: Optional[Literal["gzip"]] = None,
        health_check: bool = False,
        metadata: Sequence[tuple[str, str]] = (),
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self._connection = to.connection(
            target,
            tls=tls,
            ca=ca,
            cert=cert,
            key=key,
            server_name=server_name,
            token=token,
            request_timeout=request_timeout,
            retries=retries,
            concurrency=concurrency,
            compression=compression,
            health_check=health_check,
            metadata=metadata,
            options=options,
        )
        self._calls = Calls(self._connection)

    def close(self) -> None:
        """Ends the connections; calls that are under way are cancelled.

        >>> from tandem_text import Client
        >>> client = Client("localhost:50051")
        >>> client.close()
        """
        self._calls.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.address.target!r})"

    # The texts.

    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        texts: str,
        *,
        text_pairs: Optional[str] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        texts: Texts,
        *,
        text_pairs: Optional[Texts] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> Predictions: ...
    def predict(
        self,
        texts: Union[str, Texts],
        *,
        text_pairs: Optional[Texts] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> Union[Prediction, Predictions]:
        """Classifies one text, or all texts of a list, a pandas Series or an Arrow array.

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     one = client.predict("정말 재미있게 봤어요", route="fast")
        ...     many = client.predict(["정말 재미있게 봤어요"] * 300, route="fast", timeout=20)
        >>> one.label, round(one.confidence, 3)
        ('positive', 0.991)
        >>> len(many)
        300

        More texts than the server takes at once go as several requests. All of them are answered, or the call fails.

        Arguments: `text_pairs` are the second texts, for a model that classifies pairs. `timeout` is the time in
        seconds for the whole call, retries included. `request_id` is for the logs of the server. The rest is in
        `Options`: route, task, model, top_k, score_kind, truncation, include_windows, min_confidence, min_precision,
        allow_fallback, priority.

        Raises `TandemError`; `TypeError` and `ValueError` for arguments that can't be sent.
        """
        make = messages.maker(options)
        asked = messages.asked(texts, text_pairs)
        metadata = self._connection.call_metadata(request_id)
        deadline = Deadline(timeout)
        if len(asked.texts) > self._calls.batch_size.of(len(asked.texts)) and not self._calls.batch_size.known():
            self._calls.learn(deadline)

        def run(batch: messages.Batch, stop: threading.Event) -> Any:
            return self._calls.call(to.PREDICT, make(batch.texts, batch.pairs), deadline, metadata, stop, batch.start)

        answers = self._calls.in_batches(asked, deadline, run)
        result = messages.joined(asked, answers)
        return result[0] if isinstance(texts, str) else result

    @overload
    def predict_tasks(  # type: ignore[overload-overlap]
        self,
        texts: str,
        tasks: Union[str, Iterable[str]] = "*",
        *,
        text_pairs: Optional[str] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> dict[str, Union[Prediction, TandemError]]: ...
    @overload
    def predict_tasks(
        self,
        texts: Texts,
        tasks: Union[str, Iterable[str]] = "*",
        *,
        text_pairs: Optional[Texts] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> dict[str, Union[Predictions, TandemError]]: ...
    def predict_tasks(
        self,
        texts: Union[str, Texts],
        tasks: Union[str, Iterable[str]] = "*",
        *,
        text_pairs: Optional[Texts] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """Classifies one text, or all texts of a list, for several tasks at once: the answers by the name of the task.

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     answers = client.predict_tasks("정말 재미있게 봤어요", ["sentiment", "no-such-task"], route="fast")
        >>> answers["sentiment"].label, answers["no-such-task"].reason
        ('positive', 'TASK_NOT_FOUND')

        `tasks` are names, at most 32, or "*" for every task of the server. A text is sent once, and models that several
        tasks share run once. A task that fails has its `TandemError` in place of answers, and the others have theirs;
        it is not tried again. That holds too where every task fails, for lack of room in the server, or of time. Two
        things raise: a fault of the texts or of an option that no task can take, and a call that the server does not
        answer (the key, its rate, the call's own `timeout`, no server).

        The other arguments and options are those of `predict`, without `task` and `model`.
        """
        names = several.asked_names(tasks, options)
        make = messages.maker(options, names)
        asked = messages.asked(texts, text_pairs)
        metadata = self._connection.call_metadata(request_id)
        deadline = Deadline(timeout)
        if len(asked.texts) > self._calls.batch_size.of(len(asked.texts)) and not self._calls.batch_size.known():
            self._calls.learn(deadline)

        def run(batch: messages.Batch, stop: threading.Event) -> Any:
            request = make(batch.texts, batch.pairs)
            return self._calls.call(to.PREDICT, request, deadline, metadata, stop, batch.start)

        answers = self._calls.in_batches(asked, deadline, run, tasks=several.count(names))
        found = several.joined(asked, names, answers)
        if not isinstance(texts, str):
            return found
        return {task: one if isinstance(one, TandemError) else one[0] for task, one in found.items()}

    @overload
    def predict_stream(
        self,
        texts: Iterable[Union[str, tuple[str, str]]],
        *,
        batch_size: int = 32,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        return_errors: Literal[False] = False,
        **options: Unpack[Options],
    ) -> Iterator[Prediction]: ...
    @overload
    def predict_stream(
        self,
        texts: Iterable[Union[str, tuple[str, str]]],
        *,
        batch_size: int = 32,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        return_errors: bool,
        **options: Unpack[Options],
    ) -> Iterator[Union[Prediction, TandemError]]: ...
    def predict_stream(
        self,
        texts: Iterable[Union[str, tuple[str, str]]],
        *,
        batch_size: int = 32,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        return_errors: bool = False,
        **options: Unpack[Options],
    ) -> Iterator[Any]:
        """Classifies texts as they come, and gives the answers in their order, as they come.

        >>> from tandem_text import Client
        >>> lines = (line.strip() for line in ["정말 재미있게 봤어요\\n", "시간이 아까운 영화\\n"])
        >>> with Client("localhost:50051") as client:
        ...     for answer in client.predict_stream(lines, route="fast"):
        ...         print(answer.label, answer.text)
        positive 정말 재미있게 봤어요
        negative 시간이 아까운 영화

        `texts` is any iterable, of texts or of pairs, and may be endless; a thread reads it, at most some hundred texts
        ahead. Nobody waits for a batch to fill: `batch_size` is the most that go together. A server that ends in the
        middle is left for the next one, which gets what was not answered. Close the iterator (or leave it to the
        garbage collector) to end early.

        A text that is refused raises when its turn comes, which ends the iterator; with `return_errors` its error
        stands in its place, and the others are answered. `timeout` is for the whole stream: by default it has none, and
        each request on it has the client's `request_timeout`. `options` and errors are those of `predict`.
        """
        streaming.check(texts, batch_size)
        make = messages.maker(options)
        metadata = self._connection.call_metadata(request_id)
        deadline = Deadline(timeout)
        if not self._calls.batch_size.known():
            self._calls.learn(deadline)
        flow = Flow(
            make,
            batch_size=self._calls.batch_size.of(batch_size),
            timeout=self._connection.request_timeout,
            retries=self._connection.retries,
            keep_errors=return_errors,
        )
        opener = to.stub(self._calls.channel.stream_stream, to.PREDICT_STREAM)

        def open_call(requests: Any) -> Any:
            return opener(
                requests, timeout=deadline.left(), metadata=metadata, compression=self._connection.compression
            )

        outcomes = streaming.answers(open_call, texts, flow, deadline)
        return outcomes if return_errors else streaming.raising(outcomes)

    def predict_table(
        self,
        table: _Table,
        text: str = "text",
        *,
        text_pair: Optional[str] = None,
        prefix: str = "predicted_",
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> _Table:
        """A pandas DataFrame or an Arrow table with columns for the answers.

        >>> import pandas
        >>> from tandem_text import Client
        >>> frame = pandas.DataFrame({"review": ["정말 재미있게 봤어요", "시간이 아까운 영화"]})
        >>> with Client("localhost:50051") as client:
        ...     answers = client.predict_table(frame, "review", route="fast")
        >>> answers["predicted_label"].tolist()
        ['positive', 'negative']

        `text` names the column of texts, `text_pair` that of second texts. The rest is as in `predict`. The new columns
        are label, confidence, tier, decision, token_count, truncated and model, and, where there are any, value, scores
        and windows, each with `prefix` before its name. None of them may be there already.
        """
        texts, pairs = tables.columns(table, text, text_pair, prefix)
        answers = self.predict(texts, text_pairs=pairs, timeout=timeout, request_id=request_id, **options)
        return cast(_Table, tables.with_answers(table, answers, prefix))

    @overload
    def explain(  # type: ignore[overload-overlap]
        self,
        texts: str,
        *,
        task: Optional[str] = None,
        route: Optional[Route] = None,
        model: Optional[str] = None,
        max_contributions: int = 10,
        truncation: Optional[Truncation] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
    ) -> Explanation: ...
    @overload
    def explain(
        self,
        texts: Texts,
        *,
        task: Optional[str] = None,
        route: Optional[Route] = None,
        model: Optional[str] = None,
        max_contributions: int = 10,
        truncation: Optional[Truncation] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
    ) -> list[Explanation]: ...
    def explain(
        self,
        texts: Union[str, Texts],
        *,
        task: Optional[str] = None,
        route: Optional[Route] = None,
        model: Optional[str] = None,
        max_contributions: int = 10,
        truncation: Optional[Truncation] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
    ) -> Union[Explanation, list[Explanation]]:
        """Says which n-grams of each text speak for and against each label, exactly, for a fast model.

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     why = client.explain("시간이 아까운 영화", max_contributions=3)
        >>> for label in why.labels:
        ...     print(label.label, len(label.supporting), len(label.opposing))
        negative 3 3
        positive 3 3

        `max_contributions` is how many n-grams are listed for, and how many against, each label.
        """
        asked = messages.asked(texts)
        metadata = self._connection.call_metadata(request_id)
        deadline = Deadline(timeout)

        def run(batch: messages.Batch, stop: threading.Event) -> Any:
            request = messages.explain_request(batch.texts, task, route, model, max_contributions, truncation)
            return self._calls.call(to.EXPLAIN, request, deadline, metadata, stop, batch.start)

        answers = self._calls.in_batches(asked, deadline, run, EXPLAINED)
        found = [one for batch, answer in answers for one in messages.explanations(batch, answer)]
        return found[0] if isinstance(texts, str) else found

    # The server.

    def models(self, *, timeout: Optional[float] = None) -> list[Model]:
        """Every loaded version of every model.

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     [(model.name, model.version, model.labels) for model in client.models()]
        [('sentiment-deep', '1', ('negative', 'positive')), ('sentiment-fast', '1', ('negative', 'positive'))]
        """
        deadline, token = Deadline(timeout), ""
        found: list[Model] = []
        while True:
            request = model_service_pb2.ListModelsRequest(page_size=200, page_token=token)
            answer = self._calls.call(to.LIST_MODELS, request, deadline)
            found += map(messages.model, answer.models)
            token = answer.next_page_token
            if not token:
                return found

    def model(self, name: str, *, timeout: Optional[float] = None) -> Model:
        """One model, by "name" (its stable version) or "name@version".

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     client.model("sentiment-fast").preprocessing["hashed_ngrams"]["max_code_point_count"]
        256
        """
        request = model_service_pb2.GetModelRequest(name=name)
        return messages.model(self._calls.call(to.GET_MODEL, request, Deadline(timeout)).model)

    def tasks(self, *, timeout: Optional[float] = None) -> list[Task]:
        """What the server decides: its tasks, with their models, and what was measured of each cascade.

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     task = client.tasks()[0]
        >>> task.name, task.default_route, task.cascade.calibrated
        ('sentiment', 'deep', True)
        """
        request = model_service_pb2.ListModelsRequest(page_size=1)
        return list(map(messages.task, self._calls.call(to.LIST_MODELS, request, Deadline(timeout)).tasks))

    def health(self, *, timeout: Optional[float] = None) -> Health:
        """The state of the server and of its models, for people and dashboards.

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     client.health().state
        'serving'
        """
        return messages.health(self._calls.call(to.HEALTH, prediction_pb2.HealthRequest(), Deadline(timeout)))

    def limits(self, *, timeout: Optional[float] = None) -> Limits:
        """What one request may hold. A call may have more texts: it is split.

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     client.limits().max_text_bytes
        16384
        """
        return self._calls.learn(Deadline(timeout))

    def check(self, name: str = "", *, timeout: Optional[float] = None) -> ServingStatus:
        """Whether the server ("") takes requests, or a service, or a model by its name: "SERVING" or "NOT_SERVING".

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     client.check(), client.check("sentiment-fast")
        ('SERVING', 'SERVING')
        """
        request = health_pb2.HealthCheckRequest(service=name)
        return STATUSES.get(self._calls.call(to.CHECK, request, Deadline(timeout)).status, "UNKNOWN")

    def watch(self, name: str = "", *, timeout: Optional[float] = None) -> Iterator[ServingStatus]:
        """The same now, and again whenever it changes, until the server ends. Close the iterator to end it.

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     print(next(client.watch()))
        SERVING
        """
        return self._watch(name, Deadline(timeout))

    def _watch(self, name: str, deadline: Deadline) -> Iterator[ServingStatus]:
        opener = to.stub(self._calls.channel.unary_stream, to.WATCH)
        request = health_pb2.HealthCheckRequest(service=name)
        call = opener(request, timeout=deadline.left(), metadata=self._connection.call_metadata())
        try:
            for answer in call:
                yield STATUSES.get(answer.status, "UNKNOWN")
        except grpc.RpcError as failure:
            raise from_rpc_error(failure) from failure
        finally:
            call.cancel()

    def wait_until_serving(self, name: str = "", *, timeout: float = 60.0) -> None:
        """Waits until the server is there and takes requests, or a service or model of it.

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     client.wait_until_serving(timeout=30)

        Raises `DeadlineExceeded` when the time is over.
        """
        deadline = Deadline(timeout)
        while True:
            try:
                for status in self._watch(name, deadline):
                    if status == "SERVING":
                        return
            except Unavailable:
                pass
            time.sleep(min(0.1, deadline.left() or 0))
