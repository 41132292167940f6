"""What can go wrong, as exceptions: one class for each status code of gRPC, with the details that the server sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

import grpc

from ._stubs import error_details_pb2, status_pb2

__all__ = [
    "Cancelled",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "Internal",
    "InvalidArgument",
    "NotFound",
    "PermissionDenied",
    "ResourceExhausted",
    "TandemError",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
]

#: Where the details of an error travel, and the pause before the next try.
_DETAILS = "grpc-status-details-bin"
_PUSHBACK = "grpc-retry-pushback-ms"
#: A text's place in a message of the server.
_PLACE = re.compile(r"\b(texts|text_pairs)\[(\d+)\]")


@dataclass(frozen=True)
class FieldViolation:
    """A field that is wrong, and why.

    >>> from tandem_text import Client, InvalidArgument
    >>> with Client("localhost:50051") as client:
    ...     try:
    ...         client.predict("영화", top_k=-1)
    ...     except InvalidArgument as error:
    ...         print(error.violations[0].field, error.violations[0].description)
    top_k is -1, it must be at least 0
    """

    #: Its path, for instance `texts[3]`, counted over all texts of the call.
    field: str
    #: What is wrong, with the limit.
    description: str


class TandemError(Exception):
    """A call that failed. Catch this for all of them, or one of its classes.

    >>> from tandem_text import Client, TandemError
    >>> with Client("localhost:50051") as client:
    ...     try:
    ...         client.predict("영화", model="no-such-model")
    ...     except TandemError as error:
    ...         print(error.code.name, error.reason)
    NOT_FOUND MODEL_NOT_FOUND
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        violations: Iterable[FieldViolation] = (),
        metadata: Optional[Mapping[str, str]] = None,
        retry_delay: Optional[float] = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        #: What went wrong, for people.
        self.message = message
        #: The status code of gRPC.
        self.code = code
        #: Why, for programs, for instance `QUEUE_FULL`: see docs/errors.md. Empty where the server did not say.
        self.reason = reason
        #: The fields at fault.
        self.violations = tuple(violations)
        #: Facts by name: limits, the model at fault.
        self.metadata: Mapping[str, str] = dict(metadata or {})
        #: The pause, in seconds, after which the server would try again. None where another try is of no use, or where
        #: the server did not say.
        self.retry_delay = retry_delay
        #: The request's id, which the server's log has too.
        self.request_id = request_id

    def __str__(self) -> str:
        parts = [self.reason or self.code.name, self.message]
        if self.request_id:
            return f"{parts[0]}: {parts[1]} (request {self.request_id})"
        return ": ".join(parts)

    def __reduce__(self) -> Any:
        return _again, (type(self), self.message, self.__dict__)


class InvalidArgument(TandemError, ValueError):
    """A field is not allowed, or does not fit another: `violations` names each.

    >>> from tandem_text import Client, InvalidArgument
    >>> with Client("localhost:50051") as client:
    ...     try:
    ...         client.predict("영화", route="fast", model="sentiment-fast")
    ...     except InvalidArgument as error:
    ...         print(error.violations[0].field)
    model
    """


class NotFound(TandemError, LookupError):
    """There is no such task, model, version or service.

    >>> from tandem_text import Client, NotFound
    >>> with Client("localhost:50051") as client:
    ...     try:
    ...         client.predict("영화", task="none")
    ...     except NotFound as error:
    ...         print(error.reason)
    TASK_NOT_FOUND
    """


class FailedPrecondition(TandemError):
    """The server's models can't do that: the task lacks the tier, or the cascade is not calibrated."""


class ResourceExhausted(TandemError):
    """The server, or this caller's share of it, is full even after the retries; `retry_delay` says how long it will be.
    Without `retry_delay` the request itself is too large, and another try is of no use."""


class DeadlineExceeded(TandemError, TimeoutError):
    """The time for the call was over, or was sure to be over, before the answer.

    >>> from tandem_text import Client, DeadlineExceeded
    >>> with Client("localhost:50051") as client:
    ...     try:
    ...         client.predict("영화", timeout=0.000001)
    ...     except DeadlineExceeded as error:
    ...         print(isinstance(error, TimeoutError))
    True
    """


class Unavailable(TandemError, ConnectionError):
    """No server could be reached, or the one that was reached is loading its models or about to end.

    >>> from tandem_text import Client, Unavailable
    >>> with Client("localhost:1", retries=0) as client:
    ...     try:
    ...         client.predict("영화")
    ...     except Unavailable as error:
    ...         print(error.code.name, isinstance(error, ConnectionError))
    UNAVAILABLE True
    """


class Unauthenticated(TandemError):
    """The server wants a key, and the `token` is none that it knows."""


class PermissionDenied(TandemError):
    """Something on the way, such as a proxy, does not let this call pass."""


class Unimplemented(TandemError):
    """The server, or the model, can't do that: an explanation of a deep model, for instance.

    >>> from tandem_text import Client, Unimplemented
    >>> with Client("localhost:50051") as client:
    ...     try:
    ...         client.explain("영화", route="deep")
    ...     except Unimplemented as error:
    ...         print(error.reason)
    NOT_EXPLAINABLE
    """


class Cancelled(TandemError):
    """The call was cancelled, here or on the way."""


class Internal(TandemError):
    """The model or the server failed. Not tried again; please tell who runs the server, with the `request_id`."""


_CLASSES: dict[grpc.StatusCode, type[TandemError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.INTERNAL: Internal,
    grpc.StatusCode.DATA_LOSS: Internal,
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def _again(kind: type[TandemError], message: str, state: dict[str, Any]) -> TandemError:
    """Unpickles an error."""
    error = kind(message)
    error.__dict__.update(state)
    return error


def from_rpc_error(failure: grpc.RpcError) -> TandemError:
    """The exception for a call that failed."""
    call: Any = failure
    # Pairs, in each version of grpcio and its part for asyncio.
    trailers: dict[str, Union[str, bytes]] = {key: value for key, value in call.trailing_metadata() or ()}
    error = _decode(call.code(), call.details() or "", trailers.get(_DETAILS))
    pushback = trailers.get(_PUSHBACK)
    if error.retry_delay is None and isinstance(pushback, str) and pushback.isdecimal():
        error.retry_delay = int(pushback) / 1000
    return error


def from_status(status: status_pb2.Status) -> TandemError:
    """The exception for a request on a stream that failed. Fields are named as outside of a stream."""
    error = _from_details(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, status)
    message = error.message
    for one in error.violations:
        message = message.replace(one.field, one.field.removeprefix("request."))
    fields = ((one.field.removeprefix("request."), one.description) for one in error.violations)
    return _reworded(error, message, (FieldViolation(*field) for field in fields))


def _decode(code: grpc.StatusCode, message: str, details: Union[str, bytes, None]) -> TandemError:
    status = status_pb2.Status()
    if isinstance(details, bytes):
        try:
            status = status_pb2.Status.FromString(details)
        # Not ours: something on the way answered. The code and the message still say what happened.
        except Exception:  # noqa: BLE001
            status = status_pb2.Status()
    return _from_details(code, message, status)


def _from_details(code: grpc.StatusCode, message: str, status: status_pb2.Status) -> TandemError:
    error = _CLASSES.get(code, TandemError)(message, code=code)
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    request = error_details_pb2.RequestInfo()
    for detail in status.details:
        if detail.Unpack(info):
            error.reason = info.reason
            error.metadata = dict(info.metadata)
        elif detail.Unpack(bad):
            error.violations = tuple(FieldViolation(one.field, one.description) for one in bad.field_violations)
        elif detail.Unpack(retry):
            error.retry_delay = retry.retry_delay.ToNanoseconds() / 1e9
        elif detail.Unpack(request):
            error.request_id = request.request_id
    return error


def counted_from(error: TandemError, start: int) -> TandemError:
    """The error of a request whose first text is the call's text number `start`: places count from the call's first."""
    if start == 0:
        return error

    def shift(text: str) -> str:
        return _PLACE.sub(lambda place: f"{place[1]}[{int(place[2]) + start}]", text)

    violations = (FieldViolation(shift(one.field), one.description) for one in error.violations)
    return _reworded(error, shift(error.message), violations)


def _reworded(error: TandemError, message: str, violations: Iterable[FieldViolation]) -> TandemError:
    error.message = message
    error.args = (message,)
    error.violations = tuple(violations)
    return error
