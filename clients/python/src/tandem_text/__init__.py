"""A client for Tandem, a server that classifies texts with a fast and a deep model behind one API.

>>> from tandem_text import Client
>>> with Client("localhost:50051") as client:
...     answer = client.predict("정말 재미있게 봤어요", route="cascade")
>>> answer.label, answer.decision
('positive', 'confident')

`Client` is for programs with threads or with none, `AsyncClient` for asyncio. What goes wrong is a `TandemError`.
"""

from .aio import AsyncClient
from .client import Client
from .connection import Token
from .errors import (
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    TandemError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from .messages import Options, Texts
from .names import Decision, Priority, Role, Route, ScoreKind, ServingStatus, State, Tier, Truncation
from .results import (
    Contribution,
    Explanation,
    LabelExplanation,
    ModelRef,
    Prediction,
    Predictions,
    Score,
    Span,
    TierTiming,
    Timing,
    Window,
)
from .server import Cascade, CascadeCertificate, CascadePoint, Health, Limits, Model, ModelHealth, Task

__version__ = "0.1.0"

__all__ = [
    "AsyncClient",
    "Cancelled",
    "Cascade",
    "CascadeCertificate",
    "CascadePoint",
    "Client",
    "Contribution",
    "DeadlineExceeded",
    "Decision",
    "Explanation",
    "FailedPrecondition",
    "FieldViolation",
    "Health",
    "Internal",
    "InvalidArgument",
    "LabelExplanation",
    "Limits",
    "Model",
    "ModelHealth",
    "ModelRef",
    "NotFound",
    "Options",
    "PermissionDenied",
    "Prediction",
    "Predictions",
    "Priority",
    "ResourceExhausted",
    "Role",
    "Route",
    "Score",
    "ScoreKind",
    "ServingStatus",
    "Span",
    "State",
    "TandemError",
    "Task",
    "Texts",
    "Tier",
    "TierTiming",
    "Timing",
    "Token",
    "Truncation",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Window",
]
