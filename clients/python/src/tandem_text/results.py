"""What is answered of texts, as plain immutable objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Union, overload

from .names import Decision, Tier

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = [
    "Contribution",
    "Explanation",
    "LabelExplanation",
    "ModelRef",
    "Prediction",
    "Predictions",
    "Score",
    "Span",
    "TierTiming",
    "Timing",
    "Window",
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
class Window:
    """A part of a text that was read in windows, and its own answer: the one that it gets as a text.

    >>> from tandem_text import Client
    >>> text = "정말 재미있게 봤어요. " * 60
    >>> with Client("localhost:50051") as client:
    ...     answer = client.predict(text, route="fast", truncation="windows", include_windows=True)
    >>> last = answer.windows[-1]
    >>> last.label, text[last.start:last.end].endswith("봤어요. "), last.end_byte == len(text.encode())
    ('positive', True, True)
    """

    #: Where it stands: `text[start:end]`.
    start: int
    end: int
    #: The same in bytes of UTF-8.
    start_byte: int
    end_byte: int
    #: The winning label, as in `Prediction`.
    label: str
    #: Its calibrated probability, in [0, 1].
    confidence: float
    #: Which tier answered.
    tier: Tier
    #: The `top_k` labels with their scores, best first.
    scores: tuple[Score, ...]
    #: How many tokens or features the model saw.
    token_count: int
    #: The predicted value of a regression; None for classifiers.
    value: Optional[float]


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
    #: The winning label. Empty for a model of several labels a text in which none passed its threshold, and where the
    #: decision is "abstained": then the best label is in `scores` alone.
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
    #: With `include_windows`, the parts in which the text was read; empty for a text that was not read in windows.
    windows: tuple[Window, ...] = ()
    #: How many bytes of the text's UTF-8, from its start, were read in windows: all of it unless `truncated`. 0 for a
    #: text that was not read in windows.
    read_size_bytes: int = 0
    #: For a cascade, the confidence from which on fast answers stood. None for other routes, and where a forecast of
    #: the gain decided which did.
    min_confidence: Optional[float] = None


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
