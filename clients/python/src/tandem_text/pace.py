"""How many requests are under way at a time: more while the server keeps up, fewer when it refuses or gets slow."""

from __future__ import annotations

import statistics
import threading
import time
from typing import Optional

#: A window is at least so many answers.
_WINDOW = 8
#: The server is slow when the middle answer of a window takes so many times as long as in the best window, and so many
#: seconds more: a pause of that length says nothing.
_SLOW = 2.0
_SLACK_S = 0.02
#: The best window is forgotten by so much with each window.
_FORGET = 1.02
#: Refusals of the same moment count once.
_ONE_MOMENT_S = 0.5


class Pace:
    """A number of places, which grows by one with each window of good answers, and shrinks by a tenth with a window of
    slow ones and by half with a refusal. Used by many threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(min(2, most))
        self._taken = 0
        self._full = False
        self._window: list[float] = []
        self._best: Optional[float] = None
        self._cut_at: Optional[float] = None
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many places there are now."""
        return int(self._limit)

    def take(self, timeout: Optional[float] = None) -> bool:
        """Waits for a place; False if there was none in time."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._taken < int(self._limit), timeout)
            if found:
                self._taken += 1
                self._full = self._full or self._taken >= int(self._limit)
            return found

    def give_back(self) -> None:
        """Frees a place."""
        with self._changed:
            self._taken -= 1
            self._changed.notify()

    def answered(self, seconds: float) -> None:
        """A request of full size was answered in that time."""
        with self._changed:
            self._window.append(seconds)
            if len(self._window) < max(_WINDOW, 2 * int(self._limit)):
                return
            middle = statistics.median(self._window)
            self._best = middle if self._best is None else min(self._best * _FORGET, middle)
            if middle > _SLOW * self._best + _SLACK_S:
                self._limit = max(1.0, self._limit * 0.9)
            elif self._full:
                self._limit = min(float(self._most), self._limit + 1)
                self._changed.notify_all()
            self._window.clear()
            self._full = False

    def refused(self, now: Optional[float] = None) -> None:
        """The server had no room for a request, or no time."""
        now = time.monotonic() if now is None else now
        with self._changed:
            if self._cut_at is None or now - self._cut_at >= _ONE_MOMENT_S:
                self._limit = max(1.0, self._limit / 2)
                self._cut_at = now
            self._window.clear()
