"""From what a caller gives to the messages of the protocol, and back."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, TypedDict, Union

from google.protobuf.json_format import MessageToDict

from . import names, results, server
from ._stubs import model_service_pb2, prediction_pb2
from .names import Priority, Route, ScoreKind, Truncation

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["Options", "Texts"]

#: What may be classified at once: any iterable of strings, a pandas Series, an Arrow array.
Texts = Union[Iterable[str], "pandas.Series[str]", "pyarrow.Array[Any]", "pyarrow.ChunkedArray[Any]"]


class Options(TypedDict, total=False):
    """What a call may ask, besides the texts. Each may be left out.

    >>> from tandem_text import Client, Options
    >>> asked: Options = {"route": "fast", "top_k": 1}
    >>> with Client("localhost:50051") as client:
    ...     client.predict("정말 재미있게 봤어요", **asked).scores[0].label
    'positive'
    """

    #: Which model answers: "fast", "deep" or "cascade". The task's default if left out.
    route: Optional[Route]
    #: What to decide, by the name of a configured task. The server's default if left out.
    task: Optional[str]
    #: One model, as "name" or "name@version". Not together with `route`.
    model: Optional[str]
    #: How many labels to list in `scores`, best first: 0 (none) if left out.
    top_k: Optional[int]
    #: What `scores` are: "probability" (the default) or "logit".
    score_kind: Optional[ScoreKind]
    #: What happens to a text that is too long for the model: "end" or "start" is cut off, "reject", or "windows", which
    #: reads all of it in parts. The setting of the task or of the model if left out.
    truncation: Optional[Truncation]
    #: Whether answers list the windows of texts that were read in windows.
    include_windows: Optional[bool]
    #: For the cascade: the confidence from which on the fast answer stands. The task's calibrated one if left out.
    min_confidence: Optional[float]
    #: For the cascade: the share of given answers that must be right, above 0 and below 1. A text of which the answer
    #: is not sure enough for that gets none: its decision is "abstained". The task's setting if left out.
    min_precision: Optional[float]
    #: Whether the fast model may answer where the deep one can't in time. The task's setting if left out.
    allow_fallback: Optional[bool]
    #: Which requests go first on a busy server: "interactive", "normal" (the default) or "bulk".
    priority: Optional[Priority]


class Batch(NamedTuple):
    """Some of the texts of a call, for one request."""

    #: The number of the first.
    start: int
    texts: Sequence[str]
    pairs: Sequence[str]


class Asked(NamedTuple):
    """Texts that were looked at, with their second texts if they are pairs."""

    texts: Sequence[str]
    pairs: Optional[Sequence[str]]
    #: The index of a Series.
    index: Any = None

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of at most `size` texts."""
        for start in range(0, len(self.texts), size):
            pairs = self.pairs[start : start + size] if self.pairs is not None else ()
            yield Batch(start, self.texts[start : start + size], pairs)


def asked(texts: Any, text_pairs: Any = None) -> Asked:
    """Looks at texts: each must be a string that UTF-8 can hold."""
    first = _listed("texts", texts)
    second = None if text_pairs is None else _listed("text_pairs", text_pairs)
    if second is not None and len(second) != len(first):
        raise ValueError(f"text_pairs holds {len(second)} texts, it must hold one for each of the {len(first)} texts")
    index = texts.index if hasattr(texts, "iloc") else None
    return Asked(first, second, index)


def _listed(field: str, texts: Any) -> list[str]:
    if isinstance(texts, (bytes, bytearray)):
        raise TypeError(f"{field} is {type(texts).__name__}, it must hold strings")
    if hasattr(texts, "columns") and not isinstance(texts, (str, list, tuple)):
        raise TypeError(f"{field} is a table: give one of its columns, or call predict_table")
    if isinstance(texts, str):
        texts = [texts]
    # An Arrow array, whose items are scalars of its own.
    listed = texts.to_pylist() if hasattr(texts, "to_pylist") else list(texts)
    for at, text in enumerate(listed):
        check_text(f"{field}[{at}]", text)
    return listed


def check_text(field: str, text: Any) -> None:
    """An error that names the field, and never the text, for what is no text."""
    if not isinstance(text, str):
        missing = text is None or (isinstance(text, float) and math.isnan(text)) or type(text).__name__ == "NAType"
        found = "missing" if missing else f"of type {type(text).__name__}"
        raise TypeError(f"{field} is {found}, it must be a string")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            # Not the original, which holds the text.
            place = error.start
            raise ValueError(f"{field} holds a lone surrogate at {place}, which is no text") from None


#: What options may be, NumPy's numbers among them.
_KINDS: Sequence[tuple[str, type, type]] = (
    ("top_k", numbers.Integral, int),
    ("min_confidence", numbers.Real, float),
    ("min_precision", numbers.Real, float),
    ("allow_fallback", bool, bool),
    ("include_windows", bool, bool),
    ("task", str, str),
    ("model", str, str),
)

Maker = Callable[[Sequence[str], Sequence[str]], prediction_pb2.PredictRequest]


def maker(options: Options, tasks: Sequence[str] = ()) -> Maker:
    """Makes requests with these options, which are looked at now."""
    unknown = sorted(set(options) - set(Options.__annotations__))
    if unknown:
        known = ", ".join(sorted(Options.__annotations__))
        raise TypeError(f"{unknown[0]} is no option; there are {known}")
    fields: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    fields["route"] = names.number("route", options.get("route"), names.ROUTES)
    fields["score_kind"] = names.number("score_kind", options.get("score_kind"), names.SCORE_KINDS)
    fields["truncation"] = names.number("truncation", options.get("truncation"), names.TRUNCATIONS)
    fields["priority"] = names.number("priority", options.get("priority"), names.PRIORITIES)
    for name, kind, plain in _KINDS:
        if name in fields:
            if not isinstance(fields[name], kind):
                raise TypeError(f"{name} is of type {type(fields[name]).__name__}, it must be of type {plain.__name__}")
            fields[name] = plain(fields[name])
    if not -(2**31) <= fields.get("top_k", 0) < 2**31:
        raise ValueError(f"top_k is {fields['top_k']}, it must fit 32 bits")
    common = prediction_pb2.PredictRequest(tasks=tasks, **fields)

    def make(texts: Sequence[str], pairs: Sequence[str]) -> prediction_pb2.PredictRequest:
        request = prediction_pb2.PredictRequest()
        request.CopyFrom(common)
        request.texts.extend(texts)
        request.text_pairs.extend(pairs)
        return request

    return make


def explain_request(
    texts: Sequence[str],
    task: Optional[str],
    route: Optional[str],
    model: Optional[str],
    max_contributions: int,
    truncation: Optional[str],
) -> prediction_pb2.ExplainRequest:
    """A request for explanations."""
    return prediction_pb2.ExplainRequest(
        texts=texts,
        task=task or "",
        route=names.number("route", route, names.ROUTES),
        model=model or "",
        max_contribution_count=max_contributions,
        truncation=names.number("truncation", truncation, names.TRUNCATIONS),
    )


def predictions(texts: Sequence[str], answer: prediction_pb2.PredictResponse) -> list[results.Prediction]:
    """The answers of one response."""
    models = {one.tier: _model_ref(one) for one in answer.models}
    threshold = answer.min_confidence if answer.HasField("min_confidence") else None
    return [_prediction(text, one, models, threshold) for text, one in zip(texts, answer.predictions)]


def _prediction(
    text: str, one: prediction_pb2.Prediction, models: dict[Any, results.ModelRef], threshold: Optional[float]
) -> results.Prediction:
    return results.Prediction(
        text=text,
        label=one.label,
        confidence=one.confidence,
        tier=names.TIERS.get(one.tier, "unknown"),
        decision=names.DECISIONS.get(one.decision, "unknown"),
        scores=_scores(one.scores),
        token_count=one.token_count,
        truncated=one.truncated,
        value=one.value if one.HasField("value") else None,
        model=models.get(one.tier),
        windows=_windows(text, one.windows),
        read_size_bytes=one.read_size_bytes,
        min_confidence=threshold,
    )


def _scores(found: Iterable[prediction_pb2.LabelScore]) -> tuple[results.Score, ...]:
    return tuple(results.Score(score.label, score.score, score.selected) for score in found)


def _windows(text: str, found: Sequence[prediction_pb2.Window]) -> tuple[results.Window, ...]:
    if not found:
        return ()
    place = _places(text)
    return tuple(
        results.Window(
            start=place(one.start_byte),
            end=place(one.end_byte),
            start_byte=one.start_byte,
            end_byte=one.end_byte,
            label=one.label,
            confidence=one.confidence,
            tier=names.TIERS.get(one.tier, "unknown"),
            scores=_scores(one.scores),
            token_count=one.token_count,
            value=one.value if one.HasField("value") else None,
        )
        for one in found
    )


def _places(text: str) -> Callable[[int], int]:
    """From a place in the text's UTF-8, which the server counts, to the place in the string."""
    data = text.encode()
    return lambda byte: len(data[:byte].decode(errors="ignore"))


def joined(
    asked: Asked, answers: Iterable[tuple[Sequence[str], prediction_pb2.PredictResponse]]
) -> results.Predictions:
    """The answers of all requests of one call."""
    found: list[results.Prediction] = []
    models: dict[results.ModelRef, None] = {}
    timings = []
    for texts, answer in answers:
        found += predictions(texts, answer)
        models.update((_model_ref(one), None) for one in answer.models)
        timings.append(_timing(answer.timing))
    return results.Predictions(found, models=list(models), timings=timings, index=asked.index)


def _model_ref(one: prediction_pb2.ModelRef) -> results.ModelRef:
    return results.ModelRef(one.name, one.version, one.fingerprint, names.TIERS.get(one.tier, "unknown"))


def _seconds(duration: Any) -> float:
    return float(duration.ToNanoseconds()) / 1e9


def _timing(one: prediction_pb2.Timing) -> results.Timing:
    tiers = (
        results.TierTiming(
            tier=names.TIERS.get(tier.tier, "unknown"),
            queue=_seconds(tier.queue_duration),
            inference=_seconds(tier.inference_duration),
            batch_text_count=tier.batch_text_count,
        )
        for tier in one.tiers
    )
    return results.Timing(
        total=_seconds(one.total_duration),
        preprocess=_seconds(one.preprocess_duration),
        queue=_seconds(one.queue_duration),
        inference=_seconds(one.inference_duration),
        tiers=tuple(tiers),
    )


def explanations(texts: Sequence[str], answer: prediction_pb2.ExplainResponse) -> list[results.Explanation]:
    """The explanations of one response."""
    model = _model_ref(answer.model)
    return [_explanation(text, one, model) for text, one in zip(texts, answer.explanations)]


def _explanation(text: str, one: prediction_pb2.Explanation, model: results.ModelRef) -> results.Explanation:
    place = _places(text)

    def span(found: prediction_pb2.TextSpan) -> results.Span:
        return results.Span(place(found.start_byte), place(found.end_byte))

    def contribution(found: prediction_pb2.Contribution) -> results.Contribution:
        spans = tuple(span(place) for place in found.spans)
        ngrams = tuple(dict.fromkeys(text[place.start : place.end] for place in spans))
        return results.Contribution(found.contribution, ngrams, spans, found.span_count)

    labels = (
        results.LabelExplanation(
            label=label.label,
            logit=label.logit,
            bias=label.bias,
            other_contribution=label.other_contribution,
            supporting=tuple(map(contribution, label.supporting)),
            opposing=tuple(map(contribution, label.opposing)),
        )
        for label in one.labels
    )
    return results.Explanation(text, one.label, one.confidence, tuple(labels), one.feature_count, one.truncated, model)


def model(one: model_service_pb2.Model) -> server.Model:
    """One loaded version of a model."""
    return server.Model(
        model=_model_ref(one.model),
        role=names.ROLES.get(one.role, "unknown"),
        state=names.STATES.get(one.state, "unknown"),
        message=one.message,
        description=one.description,
        license=one.license,
        task=one.task,
        tasks=tuple(one.tasks),
        labels=tuple(one.labels),
        max_batch_size=one.limits.max_batch_size,
        max_token_count=one.limits.max_token_count,
        max_text_bytes=one.limits.max_text_size_bytes,
        preprocessing=MessageToDict(one.preprocessing, preserving_proto_field_name=True),
        temperature=one.calibration.temperature,
        metrics=MessageToDict(one.metrics),
        verified=one.verified,
        stand_in=one.stand_in,
        queued_text_count=one.queued_text_count,
        execution_providers=tuple(provider.name for provider in one.execution_providers),
    )


def task(one: model_service_pb2.Task) -> server.Task:
    """Something that the server decides."""
    return server.Task(
        name=one.name,
        is_default=one.is_default,
        default_route=names.DEFAULT_ROUTES.get(one.default_route, "unknown"),
        allow_fallback=one.allow_fallback,
        fast_model=_model_ref(one.fast_model) if one.HasField("fast_model") else None,
        deep_model=_model_ref(one.deep_model) if one.HasField("deep_model") else None,
        cascade=_cascade(one.cascade) if one.HasField("cascade") else None,
    )


def _cascade(one: model_service_pb2.Cascade) -> server.Cascade:
    curve = (
        server.CascadePoint(
            at.min_confidence, at.escalated_share, at.cost, at.accuracy, at.accuracy_low, at.accuracy_high
        )
        for at in one.curve
    )
    certificates = (
        server.CascadeCertificate(
            found.measure, found.at_least, found.confidence, found.min_confidence, found.text_count
        )
        for found in one.certificates
    )
    return server.Cascade(
        min_confidence=one.min_confidence if one.HasField("min_confidence") else None,
        calibrated=one.calibrated,
        message=one.message,
        escalated_share=one.escalated_share if one.HasField("escalated_share") else None,
        curve=tuple(curve),
        against_deep=one.against_deep,
        measured_text_count=one.measured_text_count,
        certificates=tuple(certificates),
    )


def health(answer: prediction_pb2.HealthResponse) -> server.Health:
    """The state of a server."""
    models = (
        server.ModelHealth(
            model=_model_ref(one.model),
            state=names.STATES.get(one.state, "unknown"),
            message=one.message,
            queued_text_count=one.queued_text_count,
            labels=tuple(one.labels),
            max_token_count=one.max_token_count,
            tasks=tuple(one.tasks),
            verified=one.verified,
            execution_providers=tuple(provider.name for provider in one.execution_providers),
        )
        for one in answer.models
    )
    return server.Health(
        state=names.STATES.get(answer.state, "unknown"),
        version=answer.version,
        uptime=_seconds(answer.uptime_duration),
        models=tuple(models),
        limits=server.Limits(answer.max_text_count, answer.max_text_size_bytes),
    )
