"""How many texts one request may hold: as the server says, or as its refusals say."""

from __future__ import annotations

from typing import Optional

from .errors import TandemError
from .server import Limits

#: What a server takes unless it is set up otherwise: so many texts are tried without asking it first.
USUAL = 128
#: The most texts of one request for explanations, by the protocol.
EXPLAINED = 8


class BatchSize:
    """The largest batch that is known to be fine."""

    def __init__(self) -> None:
        self._limit: Optional[int] = None
        self._burst: Optional[int] = None
        #: How many tasks the server has, as far as it is known.
        self._all_tasks = 1

    def known(self) -> bool:
        """Whether the server was asked."""
        return self._limit is not None

    def of(self, count: int, tasks: Optional[int] = 1) -> int:
        """The size of the batches for so many texts; a key's share counts each text once for each task. Without a
        number of tasks: for all that the server has."""
        sizes = [USUAL if self._limit is None else self._limit]
        if self._burst is not None:
            sizes.append(self._burst // (self._all_tasks if tasks is None else tasks))
        return max(1, min(*sizes, max(1, count)))

    def learn(self, limits: Limits) -> None:
        """Keeps what the server says."""
        if limits.max_texts > 0:
            self._limit = limits.max_texts

    def learn_burst(self, error: TandemError) -> bool:
        """Keeps what a refusal says of the caller's key: how many texts it may send at once. Whether it says that."""
        burst = burst_of(error)
        self._burst = burst if burst is not None else self._burst
        return burst is not None

    def learn_all_tasks(self, counted: Optional[int], refused: int) -> None:
        """Keeps how many tasks the server has, after it refused a batch of so many texts for all of them: as it says,
        but more than would have fitted; if it does not say, so many that the next batch is half as large."""
        fitted = 0 if self._burst is None else self._burst // refused
        self._all_tasks = max(1, 2 * fitted) if counted is None else max(fitted + 1, counted)


def burst_of(error: TandemError) -> Optional[int]:
    """How many texts the caller's key may send at once, if that is why a request was refused."""
    found = error.metadata.get("burst", "")
    return int(found) if error.reason == "RATE_LIMITED" and found.isdecimal() and int(found) > 0 else None


def is_about_count(error: TandemError) -> bool:
    """Whether a request was refused for the number of its texts, perhaps."""
    return any(one.field in ("texts", "text_pairs") for one in error.violations)
