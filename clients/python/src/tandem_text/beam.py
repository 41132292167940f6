"""Apache Beam: model handlers for `RunInference`. Needs `tandem-text[beam]`.

    from apache_beam.ml.inference.base import RunInference
    from tandem_text.beam import TandemModelHandler

    answers, failed = texts | RunInference(
        TandemModelHandler("dns:///tandem:50051", route="cascade")
    ).with_exception_handling()

Elements are texts. Each becomes a `PredictionResult` of the text, an `Answer` and the model's name. A text that is at
fault itself has an `Answer` with its error; a batch that no server answered in time raises, and goes to `failed` if
there is exception handling, else back to the runner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RemoteModelHandler

from .bulk import Answers, Bulk, Classifier, passes
from .errors import TandemError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .messages import Options

__all__ = ["LocalTandemModelHandler", "TandemModelHandler"]

_NAMESPACE = "Tandem"
#: Elements of one batch of Beam's, which goes to the servers as several requests.
_MIN_BATCH, _MAX_BATCH = 128, 2048


class TandemModelHandler(RemoteModelHandler[str, PredictionResult, Classifier]):
    """Asks a fleet of servers.

    `target` and the options are those of `Bulk`: a request that is refused waits as long as the server says, and is
    given up after `timeout`. What is given up is tried again by Beam, `num_retries` times, with Beam's throttling; so
    is not what another try can't change. `rate_limiter` is one of Beam's, for all workers together.
    """

    def __init__(
        self,
        target: Union[str, Sequence[str]],
        *,
        client: Optional[Mapping[str, Any]] = None,
        batch_size: int = 128,
        concurrency: int = 8,
        timeout: float = 300.0,
        request_timeout: float = 30.0,
        min_batch_size: int = _MIN_BATCH,
        max_batch_size: int = _MAX_BATCH,
        num_retries: int = 2,
        rate_limiter: Any = None,
        **options: Unpack[Options],
    ) -> None:
        # Older versions of Beam know none.
        more: dict[str, Any] = {} if rate_limiter is None else {"rate_limiter": rate_limiter}
        super().__init__(
            namespace=_NAMESPACE,
            num_retries=num_retries,
            retry_filter=another_try_helps,
            # Beam takes a batch that is not answered within the window for a failed one, and rests. By default that is
            # too hard on batches of some seconds, whose pauses are kept here already.
            throttle_delay_secs=1,
            window_ms=60_000,
            bucket_ms=1_000,
            **more,
        )
        self._batching = {"min_batch_size": min_batch_size, "max_batch_size": max_batch_size}
        self._bulk = Bulk(
            target,
            client=client,
            batch_size=batch_size,
            concurrency=concurrency,
            timeout=timeout,
            request_timeout=request_timeout,
            failures="raise",
            **options,
        )

    def create_client(self) -> Classifier:
        """The classifier that all threads of this process share."""
        return self._bulk.classifier()

    def request(
        self, batch: Sequence[str], model: Classifier, inference_args: Optional[dict[str, Any]] = None
    ) -> Iterable[PredictionResult]:
        """Classifies a batch."""
        return _results(batch, model.classify(batch))

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """How Beam makes batches."""
        return self._batching

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        """The size of a batch, for Beam's metrics."""
        return _size(batch)

    def get_metrics_namespace(self) -> str:
        """What Beam's metrics are called."""
        return _NAMESPACE

    def validate_inference_args(self, inference_args: Optional[dict[str, Any]]) -> None:
        """Options belong to the handler."""
        _no_args(inference_args)


class LocalTandemModelHandler(ModelHandler[str, PredictionResult, Classifier]):
    """Runs the program `tandem` in each worker process, as a child of it that ends with it.

    `program` is the program and flags of its `serve`: `["tandem", "--models", "models"]`. Both must be on the workers.
    All threads of a process share one child, which is started again if it dies. The options are those of `Bulk`.
    """

    def __init__(
        self,
        program: Sequence[str],
        *,
        batch_size: int = 128,
        concurrency: int = 8,
        timeout: float = 300.0,
        request_timeout: float = 30.0,
        min_batch_size: int = _MIN_BATCH,
        max_batch_size: int = _MAX_BATCH,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(min_batch_size=min_batch_size, max_batch_size=max_batch_size)
        self._bulk = Bulk(
            program=program,
            batch_size=batch_size,
            concurrency=concurrency,
            timeout=timeout,
            request_timeout=request_timeout,
            failures="raise",
            **options,
        )

    def load_model(self) -> Classifier:
        """The classifier that all threads of this process share."""
        return self._bulk.classifier()

    def run_inference(
        self, batch: Sequence[str], model: Classifier, inference_args: Optional[dict[str, Any]] = None
    ) -> Iterable[PredictionResult]:
        """Classifies a batch."""
        return _results(batch, model.classify(batch))

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        """The size of a batch, for Beam's metrics."""
        return _size(batch)

    def get_metrics_namespace(self) -> str:
        """What Beam's metrics are called."""
        return _NAMESPACE

    def validate_inference_args(self, inference_args: Optional[dict[str, Any]]) -> None:
        """Options belong to the handler."""
        _no_args(inference_args)


def another_try_helps(error: Exception) -> bool:
    """Whether Beam should try a batch again."""
    return not isinstance(error, TandemError) or passes(error)


def _results(batch: Sequence[str], answers: Answers) -> list[PredictionResult]:
    return [PredictionResult(text, one, one.model) for text, one in zip(batch, answers.rows())]


def _size(batch: Sequence[Any]) -> int:
    return sum(len(text) for text in batch if isinstance(text, str))


def _no_args(inference_args: Optional[dict[str, Any]]) -> None:
    if inference_args:
        raise ValueError("inference_args: give the options to the handler")
