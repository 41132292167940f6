"""What the server answers, as plain immutable objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Union, overload

from .names import Decision, DefaultRoute, Role, State, Tier

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = [
    "Cascade",
    "CascadeCertificate",
    "CascadePoint",
    "Contribution",
    "Explanation",
    "Health",
    "LabelExplanation",
    "Limits",
    "Model",
    "ModelHealth",
    "ModelRef",
    "Prediction",
    "Predictions",
    "Score",
    "Span",
    "Task",
    "TierTiming",
    "Timing",
]


@dataclass(frozen=True)
class ModelRef:
    """One version of a model.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     print(client.predict("정말 재미있게 봤어요", route="fast").model)
    sentiment-fast@1
    """

    name: str
    version: str
    #: The first 16 hexadecimal digits of a hash over the files that decide its answers.
    fingerprint: str
    tier: Tier

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class Score:
    """A label and its score.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     best = client.predict("정말 재미있게 봤어요", top_k=2).scores[0]
    >>> best.label, best.selected
    ('positive', True)
    """

    label: str
    #: A probability in [0, 1], or the model's raw output, as asked by `score_kind`.
    score: float
    #: Whether the label is part of the answer: the winner, or each label of several over its threshold.
    selected: bool


@dataclass(frozen=True)
class Prediction:
    """The answer for one text.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     answer = client.predict("시간이 아까운 영화", route="cascade", top_k=2)
    >>> answer.label, answer.decision, answer.tier, answer.truncated
    ('negative', 'confident', 'fast', False)
    >>> [score.label for score in answer.scores]
    ['negative', 'positive']
    """

    #: The text, as it was sent.
    text: str
    #: The winning label. Empty for a model of several labels a text in which none passed its threshold.
    label: str
    #: The calibrated probability of the winning label, in [0, 1]; 0 for a regression.
    confidence: float
    #: Which tier answered: `deep`, too, where its answer was blended with the fast one's.
    tier: Tier
    #: Why that tier answered.
    decision: Decision
    #: The `top_k` labels with their scores, best first.
    scores: tuple[Score, ...]
    #: How many tokens (deep) or features (fast) the model saw.
    token_count: int
    #: Whether the model saw only a part of the text.
    truncated: bool
    #: The predicted value of a regression; None for classifiers.
    value: Optional[float]
    #: The model that answered.
    model: Optional[ModelRef]


@dataclass(frozen=True)
class TierTiming:
    """Where the time went in one tier, in seconds."""

    tier: Tier
    #: Waiting for a place in a batch.
    queue: float
    #: The run of the model, for the whole batch that held the text.
    inference: float
    #: How many texts the largest of those batches held.
    batch_text_count: int


@dataclass(frozen=True)
class Timing:
    """Where the time of one request went inside the server, in seconds.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     answer = client.predict(["정말 재미있게 봤어요"])
    >>> answer.timings[0].inference <= answer.timings[0].total
    True
    """

    #: From the arrival of the request to its answer.
    total: float
    #: Turning texts into inputs of the model.
    preprocess: float
    #: Waiting for a place in a batch.
    queue: float
    #: The run of the model.
    inference: float
    #: The same by tier.
    tiers: tuple[TierTiming, ...]


class Predictions(Sequence[Prediction]):
    """The answers for a list of texts, in the order of the texts: a sequence of `Prediction`.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     answers = client.predict(["정말 재미있게 봤어요", "시간이 아까운 영화"], route="fast")
    >>> len(answers), answers[0].label, answers.labels
    (2, 'positive', ['positive', 'negative'])
    >>> [str(model) for model in answers.models]
    ['sentiment-fast@1']
    """

    def __init__(
        self,
        predictions: Sequence[Prediction],
        *,
        models: Sequence[ModelRef] = (),
        timings: Sequence[Timing] = (),
        index: Any = None,
    ) -> None:
        self._predictions = tuple(predictions)
        #: The models that took part.
        self.models = tuple(models)
        #: Where the time went, one for each request to the server: more than one where the texts were more than the
        #: server takes at once.
        self.timings = tuple(timings)
        self._index = index

    @property
    def labels(self) -> list[str]:
        """The winning labels."""
        return [one.label for one in self._predictions]

    @property
    def confidences(self) -> list[float]:
        """The probabilities of the winning labels."""
        return [one.confidence for one in self._predictions]

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each text, with the index of the Series that was asked. Needs pandas.

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     answers = client.predict(["정말 재미있게 봤어요", "시간이 아까운 영화"], route="fast")
        >>> answers.to_pandas()[["label", "tier"]].values.tolist()
        [['positive', 'fast'], ['negative', 'fast']]
        """
        from . import tables

        return tables.to_pandas(self, self._index)

    def to_arrow(self) -> pyarrow.Table:
        """A row for each text. Needs pyarrow.

        >>> from tandem_text import Client
        >>> with Client("localhost:50051") as client:
        ...     answers = client.predict(["정말 재미있게 봤어요", "시간이 아까운 영화"], route="fast")
        >>> answers.to_arrow().column("label").to_pylist()
        ['positive', 'negative']
        """
        from . import tables

        return tables.to_arrow(self)

    @overload
    def __getitem__(self, at: int) -> Prediction: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Prediction]: ...
    def __getitem__(self, at: Union[int, slice]) -> Union[Prediction, Sequence[Prediction]]:
        return self._predictions[at]

    def __len__(self) -> int:
        return len(self._predictions)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self._predictions)

    def __repr__(self) -> str:
        return f"Predictions({list(self._predictions)!r})"


@dataclass(frozen=True)
class Span:
    """A part of a text: `text[start:end]`. Empty for the space that the model puts before and after every text."""

    start: int
    end: int


@dataclass(frozen=True)
class Contribution:
    """What one feature adds to the logit of a label.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     why = client.explain("시간이 아까운 영화")
    >>> first = why.labels[0].supporting[0]
    >>> span = first.spans[0]
    >>> why.text[span.start:span.end] in first.ngrams
    True
    """

    #: How much it adds.
    contribution: float
    #: The n-grams behind it, as the text spells them, each once. Several where their hashes are the same.
    ngrams: tuple[str, ...]
    #: Where they stand in the text; at most the first 16 places.
    spans: tuple[Span, ...]
    #: How many places there are.
    span_count: int


@dataclass(frozen=True)
class LabelExplanation:
    """What makes up the logit of one label: the bias, the listed contributions and the rest add up to it.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     label = client.explain("시간이 아까운 영화").labels[0]
    >>> listed = sum(one.contribution for one in label.supporting + label.opposing)
    >>> abs(label.bias + listed + label.other_contribution - label.logit) < 0.001
    True
    """

    label: str
    #: The model's raw output for it.
    logit: float
    #: What the model says of no n-gram at all.
    bias: float
    #: The contributions that are not listed, added up.
    other_contribution: float
    #: What speaks for the label, the most first.
    supporting: tuple[Contribution, ...]
    #: What speaks against it, the most first.
    opposing: tuple[Contribution, ...]


@dataclass(frozen=True)
class Explanation:
    """Why the answer to one text is what it is.

    >>> from tandem_text import Client
    >>> with Client("localhost:50051") as client:
    ...     why = client.explain("시간이 아까운 영화")
    >>> why.label
    'negative'
    >>> negative = next(label for label in why.labels if label.label == "negative")
    >>> negative.supporting[0].contribution > 0
    True
    """

    #: The text, as it was sent.
    text: str
    #: The winning label.
    label: str
    #: Its calibrated probability, in [0, 1].
    confidence: float
    #: For each label, in the order of the model's output.
    labels: tuple[LabelExplanation, ...]
    #: How many distinct features the model saw.
    feature_count: int
    #: Whether the model saw only a part of the text.
    truncated: bool
    #: The model whose answer this explains.
    model: ModelRef


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
