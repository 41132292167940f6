"""Drives a flow over calls of gRPC: with threads for `Client`, with tasks for `AsyncClient`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, Callable, Optional, Union

import grpc

from .connection import Deadline
from .errors import TandemError, from_rpc_error
from .flow import Flow, Outcome
from .results import Prediction

#: Opens a call: it takes the requests, and iterates over the answers.
Opener = Callable[[Any], Any]


def answers(open_call: Opener, texts: Iterable[Any], flow: Flow, deadline: Deadline) -> Iterator[Outcome]:
    """The outcomes of all texts, in their order.

    Three threads share the flow: one reads the texts, gRPC's own takes requests, and the caller's takes answers.
    """
    changed = threading.Condition()
    # Which call is the present one. Those before it get no more requests; 0 when all is over.
    present = 1

    def read() -> None:
        error: Optional[BaseException] = None
        try:
            for text in texts:
                with changed:
                    changed.wait_for(lambda: flow.wants_more() or not present)
                    if not present:
                        return
                    flow.offer(text)
                    changed.notify_all()
        # Raised again in the caller's thread, whatever it is.
        except BaseException as raised:  # noqa: BLE001
            error = raised
        with changed:
            flow.end_source(error)
            changed.notify_all()

    def requests(call: int) -> Iterator[Any]:
        while True:
            with changed:
                while True:
                    if call != present or flow.sent_all():
                        return
                    now = time.monotonic()
                    request = flow.next_request(now)
                    if request is not None:
                        changed.notify_all()
                        break
                    changed.wait(flow.wait(now))
            yield request

    threading.Thread(target=read, name="tandem-texts", daemon=True).start()
    call = None
    try:
        while True:
            call = open_call(requests(present))
            error = None
            try:
                for answer in call:
                    with changed:
                        flow.take(answer, time.monotonic())
                        outcomes = flow.outcomes()
                        changed.notify_all()
                    yield from outcomes
            except grpc.RpcError as failure:
                error = from_rpc_error(failure)
            with changed:
                present += 1
                changed.notify_all()
                pause = flow.broke(error, deadline.left())
            if pause is None:
                flow.raise_source_error()
                return
            time.sleep(pause)
    finally:
        with changed:
            present = 0
            changed.notify_all()
        if call is not None:
            call.cancel()


async def answers_async(
    open_call: Opener, texts: Union[Iterable[Any], AsyncIterable[Any]], flow: Flow, deadline: Deadline
) -> AsyncIterator[Outcome]:
    """The same with tasks."""
    waiting: list[asyncio.Future[None]] = []
    present = 1

    def changed() -> None:
        for future in waiting:
            if not future.done():
                future.set_result(None)
        waiting.clear()

    async def until_changed(timeout: Optional[float] = None) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(future)
        await asyncio.wait([future], timeout=timeout)

    async def read() -> None:
        error: Optional[BaseException] = None
        try:
            async for text in _each(texts):
                while not flow.wants_more():
                    await until_changed()
                flow.offer(text)
                changed()
        # Raised again in the caller's task.
        except Exception as raised:  # noqa: BLE001
            error = raised
        flow.end_source(error)
        changed()

    async def requests(call: int) -> AsyncIterator[Any]:
        while call == present and not flow.sent_all():
            now = time.monotonic()
            request = flow.next_request(now)
            if request is None:
                await until_changed(flow.wait(now))
            else:
                changed()
                yield request

    reader = asyncio.ensure_future(read())
    call = None
    try:
        while True:
            call = open_call(requests(present))
            error = None
            try:
                async for answer in call:
                    flow.take(answer, time.monotonic())
                    changed()
                    for outcome in flow.outcomes():
                        yield outcome
            except grpc.RpcError as failure:
                error = from_rpc_error(failure)
            present += 1
            changed()
            pause = flow.broke(error, deadline.left())
            if pause is None:
                flow.raise_source_error()
                return
            await asyncio.sleep(pause)
    finally:
        present = 0
        changed()
        reader.cancel()
        if call is not None:
            call.cancel()


async def _each(texts: Union[Iterable[Any], AsyncIterable[Any]]) -> AsyncIterator[Any]:
    if isinstance(texts, AsyncIterable):
        async for text in texts:
            yield text
    else:
        for text in texts:
            yield text
            # Lets answers in between.
            await asyncio.sleep(0)


def raising(outcomes: Iterator[Outcome]) -> Iterator[Prediction]:
    """The outcomes until the first error, which is raised."""
    try:
        for outcome in outcomes:
            if isinstance(outcome, TandemError):
                raise outcome
            yield outcome
    finally:
        close = getattr(outcomes, "close", None)
        if close is not None:
            close()


async def raising_async(outcomes: AsyncIterator[Outcome]) -> AsyncIterator[Prediction]:
    """The same for tasks."""
    try:
        async for outcome in outcomes:
            if isinstance(outcome, TandemError):
                raise outcome
            yield outcome
    finally:
        close = getattr(outcomes, "aclose", None)
        if close is not None:
            await close()


def check(texts: Any, batch_size: int) -> None:
    """What can't be streamed: a string is an iterable of characters, which nobody means."""
    if isinstance(texts, (str, bytes)):
        raise TypeError("texts is one text; it must be an iterable of texts")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, it must be at least 1")
