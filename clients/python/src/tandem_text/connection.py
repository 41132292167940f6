"""What a client is told about its server, as the settings of a gRPC channel."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Optional, Union

import grpc

from ._stubs import health_pb2, model_service_pb2, prediction_pb2

__all__ = ["Token"]

#: A key of the server, or a function that gives the one of the moment.
Token = Union[str, Callable[[], str]]
#: A file by its path, or its bytes.
Pem = Union[str, "os.PathLike[str]", bytes]

PORT = 50051
PREDICTION = "tandem.v1.PredictionService"
#: An answer with all scores may be larger than gRPC's own bound of 4 MiB: the server's is 16 MiB of scores.
_LARGEST_ANSWER = 64 << 20


class Method(NamedTuple):
    """A method of the protocol."""

    path: str
    request: Any
    response: Any


PREDICT = Method(f"/{PREDICTION}/Predict", prediction_pb2.PredictRequest, prediction_pb2.PredictResponse)
PREDICT_STREAM = Method(
    f"/{PREDICTION}/PredictStream", prediction_pb2.PredictStreamRequest, prediction_pb2.PredictStreamResponse
)
EXPLAIN = Method(f"/{PREDICTION}/Explain", prediction_pb2.ExplainRequest, prediction_pb2.ExplainResponse)
HEALTH = Method(f"/{PREDICTION}/Health", prediction_pb2.HealthRequest, prediction_pb2.HealthResponse)
LIST_MODELS = Method(
    "/tandem.v1.ModelService/ListModels", model_service_pb2.ListModelsRequest, model_service_pb2.ListModelsResponse
)
GET_MODEL = Method(
    "/tandem.v1.ModelService/GetModel", model_service_pb2.GetModelRequest, model_service_pb2.GetModelResponse
)
CHECK = Method("/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse)
WATCH = Method("/grpc.health.v1.Health/Watch", health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse)


def stub(opener: Any, method: Method) -> Any:
    """A method of a channel, from what the channel opens calls of that kind with."""
    return opener(
        method.path,
        request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString,
    )


class Address(NamedTuple):
    """Where a channel goes."""

    target: str
    #: What it says of its server's name; None for the target itself.
    authority: Optional[str]


def address(target: Union[str, Sequence[str]]) -> Address:
    """The target of a channel for what a caller wrote."""
    if isinstance(target, str):
        if re.match(r"(https?|grpcs?)://", target):
            raise ValueError(f"{target}: give host:port, and tls=True for TLS")
        if target.startswith("/"):
            target = f"unix:{target}"
        if re.match(r"unix(-abstract)?:", target):
            return Address(target, "localhost")
        if re.match(r"ipv[46]:", target):
            return Address(target, "localhost" if "," in target else None)
        # What gRPC's other resolvers read, such as dns:///name:port.
        if re.match(r"[a-z][a-z0-9+.-]*:/", target):
            return Address(target, None)
        target = target.split(",")
    hosts = [_host_and_port(part.strip()) for part in target]
    if not hosts:
        raise ValueError("there is no address")
    if len(hosts) == 1:
        return Address("{}:{}".format(*hosts[0]), None)
    return Address(_listed(hosts), "localhost")


def _host_and_port(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+)(?::(\d{1,5}))?", text)
    if found:
        return found[1], int(found[2] or PORT)
    # An address of IPv6 alone.
    if re.fullmatch(r"[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", text) and text.count(":") > 1:
        return f"[{text}]", PORT
    raise ValueError(f"{text!r} is no address: give host:port")


def _listed(hosts: Sequence[tuple[str, int]]) -> str:
    """gRPC has lists of numeric addresses only, and of one kind."""
    pairs = [f"{host}:{port}" for host, port in hosts]
    if all(re.fullmatch(r"[\d.]+", host) for host, _ in hosts):
        return "ipv4:" + ",".join(pairs)
    if all(host.startswith("[") for host, _ in hosts):
        return "ipv6:" + ",".join(pairs)
    raise ValueError(
        f"{', '.join(pairs)}: a list must be of IPv4 addresses, or of IPv6 ones; "
        "for servers by name use one DNS name that has all their addresses"
    )


def _pem(name: str, value: Optional[Pem]) -> Optional[bytes]:
    if value is None or isinstance(value, bytes):
        return value
    with open(value, "rb") as file:
        data = file.read()
    if b"-----BEGIN" not in data:
        raise ValueError(f"{name}: {os.fspath(value)} holds no PEM")
    return data


@dataclass(frozen=True, repr=False)
class Connection:
    """How to reach a server, and how calls are made. Read once, when a client is made."""

    address: Address
    tls: bool
    ca: Optional[bytes]
    cert: Optional[bytes]
    key: Optional[bytes]
    server_name: Optional[str]
    token: Optional[Token]
    request_timeout: float
    retries: int
    concurrency: int
    compression: grpc.Compression
    health_check: bool
    metadata: Sequence[tuple[str, str]]
    more_options: Sequence[tuple[str, Any]]

    def options(self) -> list[tuple[str, Any]]:
        """The options of a channel."""
        from . import __version__

        service_config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
        if self.health_check:
            service_config["healthCheckConfig"] = {"serviceName": PREDICTION}
        options: list[tuple[str, Any]] = [
            ("grpc.service_config", json.dumps(service_config)),
            ("grpc.primary_user_agent", f"tandem-text/{__version__}"),
            ("grpc.max_receive_message_length", _LARGEST_ANSWER),
            # Notices a connection that died under a call; the server allows these pings.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # By default a client that lost its server for long looks again after up to two minutes.
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 10_000),
        ]
        authority = self.server_name or self.address.authority
        if authority:
            options.append(("grpc.default_authority", authority))
        if self.server_name:
            options.append(("grpc.ssl_target_name_override", self.server_name))
        return options + list(self.more_options)

    def credentials(self) -> Optional[grpc.ChannelCredentials]:
        """TLS, or None for plaintext."""
        if not self.tls:
            return None
        return grpc.ssl_channel_credentials(self.ca, self.key, self.cert)

    def call_metadata(self, request_id: Optional[str] = None) -> list[tuple[str, str]]:
        """The metadata of one call."""
        metadata = list(self.metadata)
        if request_id is not None:
            metadata.append(("x-request-id", request_id))
        token = self.token() if callable(self.token) else self.token
        if token is not None:
            metadata.append(("authorization", f"Bearer {checked_token(token)}"))
        return metadata


def checked_token(token: str) -> str:
    """A key without the line's end that a file has after it. The error does not hold it."""
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable():
        raise ValueError("token must be printable ASCII, and not empty")
    return token


def connection(
    target: Union[str, Sequence[str]],
    *,
    tls: Optional[bool],
    ca: Optional[Pem],
    cert: Optional[Pem],
    key: Optional[Pem],
    server_name: Optional[str],
    token: Optional[Token],
    request_timeout: float,
    retries: int,
    concurrency: int,
    compression: Optional[str],
    health_check: bool,
    metadata: Sequence[tuple[str, str]],
    options: Sequence[tuple[str, Any]],
) -> Connection:
    """Looks at what a client was given."""
    if (cert is None) != (key is None):
        raise ValueError("cert and key belong together: give both or none")
    if tls is False and (ca is not None or cert is not None):
        raise ValueError("tls is False, but there is ca or cert")
    where = address(target)
    if (tls or ca is not None) and server_name is None and "," in where.target:
        raise ValueError("a list of addresses with TLS needs server_name: the name in the certificates of the servers")
    if not request_timeout > 0:
        raise ValueError(f"request_timeout is {request_timeout}, it must be above 0")
    for name, count, least in (("retries", retries, 0), ("concurrency", concurrency, 1)):
        if count < least:
            raise ValueError(f"{name} is {count}, it must be at least {least}")
    if compression not in (None, "gzip"):
        raise ValueError(f"compression is {compression!r}, it must be 'gzip' or None")
    if isinstance(token, str):
        token = checked_token(token)
    return Connection(
        address=where,
        tls=bool(tls) or ca is not None or cert is not None,
        ca=_pem("ca", ca),
        cert=_pem("cert", cert),
        key=_pem("key", key),
        server_name=server_name,
        token=token,
        request_timeout=request_timeout,
        retries=retries,
        concurrency=concurrency,
        compression=grpc.Compression.Gzip if compression else grpc.Compression.NoCompression,
        health_check=health_check,
        metadata=tuple(metadata),
        more_options=tuple(options),
    )


class Deadline:
    """When a call must be done, by a clock that only goes forward."""

    def __init__(self, timeout: Optional[float]) -> None:
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout is {timeout}, it must be above 0")
        self._at = None if timeout is None else time.monotonic() + timeout

    def left(self) -> Optional[float]:
        """The seconds that are left, never below 0; None without a deadline."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def within(self, seconds: float) -> Deadline:
        """The same, or one in `seconds` if there is none. A call of several requests that has no deadline has one for
        each request."""
        return self if self._at is not None else Deadline(seconds)
