"""What a server says of itself and of its models, as plain immutable objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from .names import DefaultRoute, Role, State
from .results import ModelRef

__all__ = [
    "Cascade",
    "CascadeCertificate",
    "CascadePoint",
    "Health",
    "Limits",
    "Model",
    "ModelHealth",
    "Task",
]


@dataclass(frozen=True)
class Model:
    """One loaded version of a model.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     model = client.model("sentiment-fast")
    >>> model.state, model.role, model.labels, model.verified
    ('serving', 'stable', ('negative', 'positive'), True)
    """

    model: ModelRef
    #: Which requests it gets.
    role: Role
    #: Whether it takes requests.
    state: State
    #: Why it does not, or what should be known of it, for people.
    message: str
    description: str
    license: str
    #: What it decides, by its manifest.
    task: str
    #: The tasks of the server that it serves.
    tasks: tuple[str, ...]
    #: The labels, in the order of its output.
    labels: tuple[str, ...]
    max_batch_size: int
    #: The most tokens or features that it reads of a text.
    max_token_count: int
    #: The most bytes of UTF-8 that it reads of a text; 0 where tokens or code points alone are counted.
    max_text_bytes: int
    #: How a text becomes its input, by the names of the protocol: `tokenizer`, `hashed_ngrams` or `text`.
    preprocessing: Mapping[str, Any]
    #: Its outputs are divided by this before softmax.
    temperature: float
    #: How good it is, as its manifest says.
    metrics: Mapping[str, Any]
    #: Whether its files and outputs were checked.
    verified: bool
    #: Whether it is a placeholder that is not meant to answer for real.
    stand_in: bool
    #: Texts that wait for it now.
    queued_text_count: int
    #: What runs it: execution providers of ONNX Runtime, those with the most of its graph first; empty if it is not loaded.
    execution_providers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name, without the version."""
        return self.model.name

    @property
    def version(self) -> str:
        """Its version."""
        return self.model.version


@dataclass(frozen=True)
class CascadePoint:
    """What was measured of a cascade at one threshold."""

    min_confidence: float
    #: The share of texts that went to the deep model, from 0 to 1.
    escalated_share: float
    #: The cost of the answers, where the deep model alone costs 1.
    cost: float
    #: The share of right answers, from 0 to 1, with its 95% interval.
    accuracy: float
    accuracy_low: float
    accuracy_high: float


@dataclass(frozen=True)
class CascadeCertificate:
    """A share of texts on which a cascade does well, with a bound on the chance that it is less."""

    #: "agreement" with the deep model, or "accuracy".
    measure: str
    #: The least share, from 0 to 1.
    at_least: float
    #: One minus the greatest chance that the share is less.
    confidence: float
    #: The threshold that it is for.
    min_confidence: float
    #: How many texts vouch for it.
    text_count: int


@dataclass(frozen=True)
class Cascade:
    """How a task's cascade is set up, and what was measured of it.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     cascade = client.tasks()[0].cascade
    >>> best = max(cascade.curve, key=lambda point: point.accuracy)
    >>> 0 < best.cost, 0.8 < best.accuracy < 1
    (True, True)
    """

    #: The confidence from which on the fast answer stands; None if a call must name it.
    min_confidence: Optional[float]
    #: Whether it was calibrated on the versions that serve.
    calibrated: bool
    #: Why a calibration that was found is not used, for people.
    message: str
    #: The share of texts that is expected to go to the deep model; None if it was not measured.
    escalated_share: Optional[float]
    #: What was measured at other thresholds, the smallest first.
    curve: tuple[CascadePoint, ...]
    #: Whether `accuracy` in the curve is agreement with the deep model.
    against_deep: bool
    #: How many texts the curve was measured on.
    measured_text_count: int
    certificates: tuple[CascadeCertificate, ...]


@dataclass(frozen=True)
class Task:
    """Something that the server decides, and the models that do.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     for task in client.tasks():
    ...         print(task.name, task.fast_model, task.deep_model)
    sentiment sentiment-fast@1 sentiment-deep@1
    """

    name: str
    #: Whether calls that name no task get it.
    is_default: bool
    #: The route of calls that name none.
    default_route: DefaultRoute
    #: Whether the fast model may answer where the deep one can't, unless the call says.
    allow_fallback: bool
    #: None if the task has no such model.
    fast_model: Optional[ModelRef]
    deep_model: Optional[ModelRef]
    #: None unless the task has both models.
    cascade: Optional[Cascade]


@dataclass(frozen=True)
class ModelHealth:
    """The state of one model version.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     {model.model.tier: model.state for model in client.health().models}
    {'deep': 'serving', 'fast': 'serving'}
    """

    model: ModelRef
    state: State
    #: Why it is not serving, or what should be known of it; for people.
    message: str
    #: Texts that wait for it now.
    queued_text_count: int
    labels: tuple[str, ...]
    max_token_count: int
    tasks: tuple[str, ...]
    verified: bool
    #: What runs it: execution providers of ONNX Runtime, those with the most of its graph first; empty if it is not loaded.
    execution_providers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """What one request may hold. A call may have more texts: it is split.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     client.limits()
    Limits(max_texts=128, max_text_bytes=16384)
    """

    max_texts: int
    #: The longest text, in bytes of UTF-8.
    max_text_bytes: int


@dataclass(frozen=True)
class Health:
    """The state of a server and of its models.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     health = client.health()
    >>> health.state, sorted(model.model.name for model in health.models)
    ('serving', ['sentiment-deep', 'sentiment-fast'])
    """

    #: Serving when each task has its models.
    state: State
    #: The server's version.
    version: str
    #: Seconds since the process began.
    uptime: float
    models: tuple[ModelHealth, ...]
    limits: Limits
