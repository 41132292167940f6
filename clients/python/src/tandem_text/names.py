"""The values of the protocol's enumerations, by the names that this package gives and takes.

An unknown name is an error here, never quietly the default. A number that a newer server sends, and that this version
does not know, reads as `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Optional

__all__ = ["Decision", "Priority", "Role", "Route", "ScoreKind", "ServingStatus", "State", "Tier", "Truncation"]

#: Which model a request asks: `cascade` asks the fast one, and the deep one where the fast one is not sure.
Route = Literal["fast", "deep", "cascade"]
#: The route of calls that name none.
DefaultRoute = Literal["fast", "deep", "cascade", "unknown"]
#: What a score is: a calibrated probability, or the model's raw output.
ScoreKind = Literal["probability", "logit"]
#: What happens to a text that is too long for the model: its end or its start is cut off, the request is refused, or
#: the text is read whole, in windows.
Truncation = Literal["end", "start", "reject", "windows"]
#: Which requests go first.
Priority = Literal["interactive", "normal", "bulk"]
#: Which model answered.
Tier = Literal["fast", "deep", "unknown"]
#: Why it answered.
Decision = Literal[
    "requested", "confident", "escalated", "fallback_deadline", "fallback_overload", "abstained", "unknown"
]
#: Whether something takes requests.
State = Literal["loading", "serving", "draining", "failed", "unknown"]
#: Which requests a version of a model gets.
Role = Literal["stable", "canary", "pinned", "refused", "unknown"]
#: The answer of `grpc.health.v1.Health`.
ServingStatus = Literal["SERVING", "NOT_SERVING", "SERVICE_UNKNOWN", "UNKNOWN"]

ROUTES: Mapping[str, int] = {"fast": 1, "deep": 2, "cascade": 3}
SCORE_KINDS: Mapping[str, int] = {"probability": 1, "logit": 2}
TRUNCATIONS: Mapping[str, int] = {"end": 1, "start": 2, "reject": 3, "windows": 4}
PRIORITIES: Mapping[str, int] = {"interactive": 1, "normal": 2, "bulk": 3}

DEFAULT_ROUTES: Mapping[int, DefaultRoute] = {1: "fast", 2: "deep", 3: "cascade"}
TIERS: Mapping[int, Tier] = {1: "fast", 2: "deep"}
DECISIONS: Mapping[int, Decision] = {
    1: "requested",
    2: "confident",
    3: "escalated",
    4: "fallback_deadline",
    5: "fallback_overload",
    6: "abstained",
}
STATES: Mapping[int, State] = {1: "loading", 2: "serving", 3: "draining", 4: "failed"}
ROLES: Mapping[int, Role] = {1: "stable", 2: "canary", 3: "pinned", 4: "refused"}
STATUSES: Mapping[int, ServingStatus] = {1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


def number(field: str, value: Optional[str], numbers: Mapping[str, int]) -> Any:
    """The number of a value that a caller named; 0 for none."""
    if value is None:
        return 0
    found = numbers.get(value) if isinstance(value, str) else None
    if found is None:
        names = ", ".join(repr(name) for name in numbers)
        raise ValueError(f"{field} is {value!r}, it must be one of {names}")
    return found
