"""The calls of a client, with their retries, and the batches of a call: for threads, and for asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional, TypeVar

import grpc
import grpc.aio

from . import connection as to
from . import messages
from ._stubs import model_service_pb2, prediction_pb2
from .batch_size import BatchSize, is_about_count
from .connection import Connection, Deadline, Method
from .errors import TandemError, counted_from, from_rpc_error
from .retry import pause
from .server import Limits

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Calls:
    """Calls on one channel, for threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        credentials = connection.credentials()
        where, options = connection.address.target, connection.options()
        self.channel = (
            grpc.insecure_channel(where, options)
            if credentials is None
            else grpc.secure_channel(where, credentials, options)
        )
        self.batch_size = BatchSize()

    def learn(self, deadline: Deadline) -> Limits:
        """Asks the server what one request may hold."""
        limits = messages.health(self.call(to.HEALTH, prediction_pb2.HealthRequest(), deadline)).limits
        self.batch_size.learn(limits)
        return limits

    def _count_tasks(self, deadline: Deadline) -> Optional[int]:
        """Asks the server how many tasks it has; None if it does not say."""
        try:
            answer = self.call(to.LIST_MODELS, model_service_pb2.ListModelsRequest(page_size=1), deadline)
        except TandemError:
            return None
        return len(answer.tasks)

    def call(
        self,
        method: Method,
        request: Any,
        deadline: Deadline,
        metadata: Optional[Sequence[tuple[str, str]]] = None,
        stop: Optional[threading.Event] = None,
        start: int = 0,
    ) -> Any:
        """One request, with its retries."""
        deadline = deadline.within(self._connection.request_timeout)
        metadata = self._connection.call_metadata() if metadata is None else metadata
        callee = to.stub(self.channel.unary_unary, method)
        attempt = 0
        while True:
            attempt += 1
            try:
                return callee(
                    request, timeout=deadline.left(), metadata=metadata, compression=self._connection.compression
                )
            except grpc.RpcError as failure:
                error = counted_from(from_rpc_error(failure), start)
                wait = pause(error, attempt, self._connection.retries, deadline.left())
                if wait is None:
                    raise error from failure
            (stop or threading.Event()).wait(wait)
            if stop is not None and stop.is_set():
                raise error

    def in_batches(
        self,
        asked: messages.Asked,
        deadline: Deadline,
        run: Callable[[messages.Batch, threading.Event], Any],
        most: Optional[int] = None,
        tasks: Optional[int] = 1,
    ) -> list[tuple[Sequence[str], Any]]:
        """Runs all batches of a call; again in smaller ones if the server takes no such large ones.
        `tasks` is how many are asked; None for all that the server has."""
        while True:
            size = self.batch_size.of(most or len(asked.texts), tasks)
            batches = list(asked.batches(size))
            try:
                answers = self._at_once(batches, run)
                return [(batch.texts, answer) for batch, answer in zip(batches, answers)]
            except TandemError as error:
                learned = self.batch_size.learn_burst(error)
                if learned and tasks is None and size > 1:
                    self.batch_size.learn_all_tasks(self._count_tasks(deadline), size)
                elif not learned and is_about_count(error):
                    self.learn(deadline)
                if self.batch_size.of(size, tasks) >= size:
                    raise

    def _at_once(self, batches: Sequence[_In], run: Callable[[_In, threading.Event], _Out]) -> list[_Out]:
        """Runs some batches at a time, in the order of the list; the first failure ends the others."""
        stop = threading.Event()
        if len(batches) <= 1:
            return [run(batch, stop) for batch in batches]
        workers = min(self._connection.concurrency, len(batches))
        with ThreadPoolExecutor(workers, thread_name_prefix="tandem-batch") as pool:
            futures = [pool.submit(run, batch, stop) for batch in batches]
            try:
                return [future.result() for future in futures]
            except BaseException:
                stop.set()
                for future in futures:
                    future.cancel()
                raise


class AsyncCalls:
    """Calls on one channel, for asyncio."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        credentials = connection.credentials()
        where, options = connection.address.target, connection.options()
        self.channel = (
            grpc.aio.insecure_channel(where, options)
            if credentials is None
            else grpc.aio.secure_channel(where, credentials, options)
        )
        self.batch_size = BatchSize()

    async def learn(self, deadline: Deadline) -> Limits:
        """Asks the server what one request may hold."""
        limits = messages.health(await self.call(to.HEALTH, prediction_pb2.HealthRequest(), deadline)).limits
        self.batch_size.learn(limits)
        return limits

    async def _count_tasks(self, deadline: Deadline) -> Optional[int]:
        """Asks the server how many tasks it has; None if it does not say."""
        try:
            answer = await self.call(to.LIST_MODELS, model_service_pb2.ListModelsRequest(page_size=1), deadline)
        except TandemError:
            return None
        return len(answer.tasks)

    async def call(
        self,
        method: Method,
        request: Any,
        deadline: Deadline,
        metadata: Optional[Sequence[tuple[str, str]]] = None,
        start: int = 0,
    ) -> Any:
        """One request, with its retries."""
        deadline = deadline.within(self._connection.request_timeout)
        metadata = self._connection.call_metadata() if metadata is None else metadata
        callee = to.stub(self.channel.unary_unary, method)
        attempt = 0
        while True:
            attempt += 1
            try:
                return await callee(
                    request, timeout=deadline.left(), metadata=metadata, compression=self._connection.compression
                )
            except grpc.RpcError as failure:
                error = counted_from(from_rpc_error(failure), start)
                wait = pause(error, attempt, self._connection.retries, deadline.left())
                if wait is None:
                    raise error from failure
            await asyncio.sleep(wait)

    async def in_batches(
        self,
        asked: messages.Asked,
        deadline: Deadline,
        run: Callable[[messages.Batch], Awaitable[Any]],
        most: Optional[int] = None,
        tasks: Optional[int] = 1,
    ) -> list[tuple[Sequence[str], Any]]:
        """Runs all batches of a call; again in smaller ones if the server takes no such large ones.
        `tasks` is how many are asked; None for all that the server has."""
        while True:
            size = self.batch_size.of(most or len(asked.texts), tasks)
            batches = list(asked.batches(size))
            try:
                answers = await self._at_once(batches, run)
                return [(batch.texts, answer) for batch, answer in zip(batches, answers)]
            except TandemError as error:
                learned = self.batch_size.learn_burst(error)
                if learned and tasks is None and size > 1:
                    self.batch_size.learn_all_tasks(await self._count_tasks(deadline), size)
                elif not learned and is_about_count(error):
                    await self.learn(deadline)
                if self.batch_size.of(size, tasks) >= size:
                    raise

    async def _at_once(self, batches: Sequence[_In], run: Callable[[_In], Awaitable[_Out]]) -> list[_Out]:
        """Runs some batches at a time, in the order of the list; the first failure ends the others."""
        answers: dict[int, _Out] = {}
        rest = iter(enumerate(batches))

        async def work() -> None:
            for at, batch in rest:
                answers[at] = await run(batch)

        workers = [asyncio.ensure_future(work()) for _ in range(min(self._connection.concurrency, len(batches)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        return [answers[at] for at in range(len(batches))]
