"""When to try again.

Every call of the protocol is safe to repeat. gRPC could retry by itself (`retryPolicy`), but it can't tell a queue that
is full from a message that is too large, which share a code, keeps no request of more than 256 KiB for another try, and
waits out a pause that is longer than the time that is left.
"""

from __future__ import annotations

import random
from typing import Optional

import grpc

from .errors import TandemError

_FIRST_S = 0.1
_LONGEST_S = 2.0


def pause(error: TandemError, attempt: int, retries: int, left: Optional[float]) -> Optional[float]:
    """The seconds to wait before the next try, after `attempt` tries; None if there should be none.

    The server's own pause counts where it tells one: `google.rpc.RetryInfo`, or `grpc-retry-pushback-ms`.
    """
    if attempt > retries:
        return None
    if error.code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        # Without a pause the request itself is too large.
        wait = error.retry_delay
    elif error.code == grpc.StatusCode.UNAVAILABLE:
        backoff = min(_FIRST_S * 2 ** (attempt - 1), _LONGEST_S)
        wait = error.retry_delay if error.retry_delay is not None else backoff * random.uniform(0.8, 1.2)
    else:
        wait = None
    # A try that can't begin in time is none: this error says more than the deadline's would.
    if wait is None or (left is not None and wait >= left):
        return None
    return wait
