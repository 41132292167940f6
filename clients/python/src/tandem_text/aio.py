"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Optional, TypeVar, Union, cast, overload

import grpc

from . import connection as to
from . import messages, streaming, tables
from . import tasks as several
from ._stubs import health_pb2, model_service_pb2, prediction_pb2
from .batch_size import EXPLAINED
from .calls import AsyncCalls
from .connection import Deadline, Pem, Token
from .errors import TandemError, Unavailable, from_rpc_error
from .flow import Flow
from .messages import Options, Texts
from .names import STATUSES, Route, ServingStatus, Truncation
from .results import Explanation, Prediction, Predictions
from .server import Health, Limits, Model, Task

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["AsyncClient"]

_Table = TypeVar("_Table")
#: What may be streamed: any iterable, with `async` or without.
_Stream = Union[Iterable[Union[str, tuple[str, str]]], AsyncIterable[Union[str, tuple[str, str]]]]


class AsyncClient:
    """`Client` for asyncio: the same arguments and methods, to be awaited.

    >>> import asyncio
    >>> from tandem_text import AsyncClient
    >>> async def main():
    ...     async with AsyncClient("localhost:50051") as client:
    ...         answers = await asyncio.gather(
    ...             client.predict("정말 재미있게 봤어요", route="fast"),
    ...             client.predict("시간이 아까운 영화", route="deep"),
    ...         )
    ...     return [(answer.label, answer.tier) for answer in answers]
    >>> asyncio.run(main())
    [('positive', 'fast'), ('negative', 'deep')]

    Make it in the event loop that uses it, and use one loop a process: gRPC's part for asyncio does not do well with
    several after each other.
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
        self._calls = AsyncCalls(self._connection)

    async def close(self) -> None:
        """Ends the connections; calls that are under way are cancelled.

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     client = AsyncClient("localhost:50051")
        ...     await client.close()
        >>> asyncio.run(main())
        """
        await self._calls.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.address.target!r})"

    # The texts.

    @overload
    async def predict(  # type: ignore[overload-overlap]
        self,
        texts: str,
        *,
        text_pairs: Optional[str] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> Prediction: ...
    @overload
    async def predict(
        self,
        texts: Texts,
        *,
        text_pairs: Optional[Texts] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> Predictions: ...
    async def predict(
        self,
        texts: Union[str, Texts],
        *,
        text_pairs: Optional[Texts] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> Union[Prediction, Predictions]:
        """Classifies one text, or all texts of a list, a pandas Series or an Arrow array; see `Client.predict`.

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         return await client.predict(["정말 재미있게 봤어요"] * 300, route="fast", timeout=20)
        >>> len(asyncio.run(main()))
        300
        """
        make = messages.maker(options)
        asked = messages.asked(texts, text_pairs)
        metadata = self._connection.call_metadata(request_id)
        deadline = Deadline(timeout)
        if len(asked.texts) > self._calls.batch_size.of(len(asked.texts)) and not self._calls.batch_size.known():
            await self._calls.learn(deadline)

        async def run(batch: messages.Batch) -> Any:
            return await self._calls.call(to.PREDICT, make(batch.texts, batch.pairs), deadline, metadata, batch.start)

        answers = await self._calls.in_batches(asked, deadline, run)
        result = messages.joined(asked, answers)
        return result[0] if isinstance(texts, str) else result

    @overload
    async def predict_tasks(  # type: ignore[overload-overlap]
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
    async def predict_tasks(
        self,
        texts: Texts,
        tasks: Union[str, Iterable[str]] = "*",
        *,
        text_pairs: Optional[Texts] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> dict[str, Union[Predictions, TandemError]]: ...
    async def predict_tasks(
        self,
        texts: Union[str, Texts],
        tasks: Union[str, Iterable[str]] = "*",
        *,
        text_pairs: Optional[Texts] = None,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        **options: Unpack[Options],
    ) -> dict[str, Any]:
        """Classifies texts for several tasks at once; see `Client.predict_tasks`.

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         return await client.predict_tasks(["정말 재미있게 봤어요"], "*", route="fast")
        >>> asyncio.run(main())["sentiment"].labels
        ['positive']
        """
        names = several.asked_names(tasks, options)
        make = messages.maker(options, names)
        asked = messages.asked(texts, text_pairs)
        metadata = self._connection.call_metadata(request_id)
        deadline = Deadline(timeout)
        if len(asked.texts) > self._calls.batch_size.of(len(asked.texts)) and not self._calls.batch_size.known():
            await self._calls.learn(deadline)

        async def run(batch: messages.Batch) -> Any:
            request = make(batch.texts, batch.pairs)
            return await self._calls.call(to.PREDICT, request, deadline, metadata, batch.start)

        answers = await self._calls.in_batches(asked, deadline, run, tasks=several.count(names))
        found = several.joined(asked, names, answers)
        if not isinstance(texts, str):
            return found
        return {task: one if isinstance(one, TandemError) else one[0] for task, one in found.items()}

    @overload
    def predict_stream(
        self,
        texts: _Stream,
        *,
        batch_size: int = 32,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        return_errors: Literal[False] = False,
        **options: Unpack[Options],
    ) -> AsyncIterator[Prediction]: ...
    @overload
    def predict_stream(
        self,
        texts: _Stream,
        *,
        batch_size: int = 32,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        return_errors: bool,
        **options: Unpack[Options],
    ) -> AsyncIterator[Union[Prediction, TandemError]]: ...
    def predict_stream(
        self,
        texts: _Stream,
        *,
        batch_size: int = 32,
        timeout: Optional[float] = None,
        request_id: Optional[str] = None,
        return_errors: bool = False,
        **options: Unpack[Options],
    ) -> AsyncIterator[Any]:
        """Classifies texts as they come, and gives the answers in their order; see `Client.predict_stream`.

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def texts():
        ...     yield "정말 재미있게 봤어요"
        ...     yield "시간이 아까운 영화"
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         return [answer.label async for answer in client.predict_stream(texts(), route="fast")]
        >>> asyncio.run(main())
        ['positive', 'negative']

        An iterable without `async` is read in the event loop, which it holds up while it waits for its next text. Call
        the iterator's `aclose()` to end early.
        """
        streaming.check(texts, batch_size)
        make = messages.maker(options)
        metadata = self._connection.call_metadata(request_id)
        deadline = Deadline(timeout)
        opener = to.stub(self._calls.channel.stream_stream, to.PREDICT_STREAM)

        def open_call(requests: Any) -> Any:
            return opener(
                requests, timeout=deadline.left(), metadata=metadata, compression=self._connection.compression
            )

        async def outcomes() -> AsyncIterator[Any]:
            if not self._calls.batch_size.known():
                await self._calls.learn(deadline)
            flow = Flow(
                make,
                batch_size=self._calls.batch_size.of(batch_size),
                timeout=self._connection.request_timeout,
                retries=self._connection.retries,
                keep_errors=return_errors,
            )
            async for outcome in streaming.answers_async(open_call, texts, flow, deadline):
                yield outcome

        return outcomes() if return_errors else streaming.raising_async(outcomes())

    async def predict_table(
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
        """A pandas DataFrame or an Arrow table with columns for the answers; see `Client.predict_table`.

        >>> import asyncio, pyarrow
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     table = pyarrow.table({"text": ["정말 재미있게 봤어요", "시간이 아까운 영화"]})
        ...     async with AsyncClient("localhost:50051") as client:
        ...         return await client.predict_table(table, route="fast")
        >>> asyncio.run(main()).column("predicted_label").to_pylist()
        ['positive', 'negative']
        """
        texts, pairs = tables.columns(table, text, text_pair, prefix)
        answers = await self.predict(texts, text_pairs=pairs, timeout=timeout, request_id=request_id, **options)
        return cast(_Table, tables.with_answers(table, answers, prefix))

    @overload
    async def explain(  # type: ignore[overload-overlap]
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
    async def explain(
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
    async def explain(
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
        """Says which n-grams of each text speak for and against each label; see `Client.explain`.

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         return await client.explain("시간이 아까운 영화")
        >>> asyncio.run(main()).label
        'negative'
        """
        asked = messages.asked(texts)
        metadata = self._connection.call_metadata(request_id)
        deadline = Deadline(timeout)

        async def run(batch: messages.Batch) -> Any:
            request = messages.explain_request(batch.texts, task, route, model, max_contributions, truncation)
            return await self._calls.call(to.EXPLAIN, request, deadline, metadata, batch.start)

        answers = await self._calls.in_batches(asked, deadline, run, EXPLAINED)
        found = [one for batch, answer in answers for one in messages.explanations(batch, answer)]
        return found[0] if isinstance(texts, str) else found

    # The server.

    async def models(self, *, timeout: Optional[float] = None) -> list[Model]:
        """Every loaded version of every model.

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         return [model.name for model in await client.models()]
        >>> asyncio.run(main())
        ['sentiment-deep', 'sentiment-fast']
        """
        deadline, token = Deadline(timeout), ""
        found: list[Model] = []
        while True:
            request = model_service_pb2.ListModelsRequest(page_size=200, page_token=token)
            answer = await self._calls.call(to.LIST_MODELS, request, deadline)
            found += map(messages.model, answer.models)
            token = answer.next_page_token
            if not token:
                return found

    async def model(self, name: str, *, timeout: Optional[float] = None) -> Model:
        """One model, by "name" (its stable version) or "name@version".

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         return await client.model("sentiment-fast")
        >>> asyncio.run(main()).labels
        ('negative', 'positive')
        """
        request = model_service_pb2.GetModelRequest(name=name)
        return messages.model((await self._calls.call(to.GET_MODEL, request, Deadline(timeout))).model)

    async def tasks(self, *, timeout: Optional[float] = None) -> list[Task]:
        """What the server decides: its tasks, with their models, and what was measured of each cascade.

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         return await client.tasks()
        >>> asyncio.run(main())[0].name
        'sentiment'
        """
        request = model_service_pb2.ListModelsRequest(page_size=1)
        return list(map(messages.task, (await self._calls.call(to.LIST_MODELS, request, Deadline(timeout))).tasks))

    async def health(self, *, timeout: Optional[float] = None) -> Health:
        """The state of the server and of its models, for people and dashboards.

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         return await client.health()
        >>> asyncio.run(main()).state
        'serving'
        """
        return messages.health(await self._calls.call(to.HEALTH, prediction_pb2.HealthRequest(), Deadline(timeout)))

    async def limits(self, *, timeout: Optional[float] = None) -> Limits:
        """What one request may hold. A call may have more texts: it is split.

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         return await client.limits()
        >>> asyncio.run(main()).max_text_bytes
        16384
        """
        return await self._calls.learn(Deadline(timeout))

    async def check(self, name: str = "", *, timeout: Optional[float] = None) -> ServingStatus:
        """Whether the server ("") takes requests, or a service, or a model by its name: "SERVING" or "NOT_SERVING".

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         return await client.check("sentiment-deep")
        >>> asyncio.run(main())
        'SERVING'
        """
        request = health_pb2.HealthCheckRequest(service=name)
        return STATUSES.get((await self._calls.call(to.CHECK, request, Deadline(timeout))).status, "UNKNOWN")

    def watch(self, name: str = "", *, timeout: Optional[float] = None) -> AsyncIterator[ServingStatus]:
        """The same now, and again whenever it changes, until the server ends.

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         async for status in client.watch():
        ...             return status
        >>> asyncio.run(main())
        'SERVING'
        """
        return self._watch(name, Deadline(timeout))

    async def _watch(self, name: str, deadline: Deadline) -> AsyncIterator[ServingStatus]:
        opener = to.stub(self._calls.channel.unary_stream, to.WATCH)
        request = health_pb2.HealthCheckRequest(service=name)
        call = opener(request, timeout=deadline.left(), metadata=self._connection.call_metadata())
        try:
            async for answer in call:
                yield STATUSES.get(answer.status, "UNKNOWN")
        except grpc.RpcError as failure:
            raise from_rpc_error(failure) from failure
        finally:
            call.cancel()

    async def wait_until_serving(self, name: str = "", *, timeout: float = 60.0) -> None:
        """Waits until the server is there and takes requests, or a service or model of it.

        >>> import asyncio
        >>> from tandem_text import AsyncClient
        >>> async def main():
        ...     async with AsyncClient("localhost:50051") as client:
        ...         await client.wait_until_serving(timeout=30)
        >>> asyncio.run(main())

        Raises `DeadlineExceeded` when the time is over.
        """
        deadline = Deadline(timeout)
        while True:
            try:
                async for status in self._watch(name, deadline):
                    if status == "SERVING":
                        return
            except Unavailable:
                pass
            await asyncio.sleep(min(0.1, deadline.left() or 0))
