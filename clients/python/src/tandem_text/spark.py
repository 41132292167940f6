"""Spark: a function for columns of texts. Needs `tandem-text[spark]`.

    from tandem_text.spark import classify_udf

    classify = classify_udf("dns:///tandem:50051", route="cascade")
    answers = reviews.select("id", classify("review").alias("answer")).select("id", "answer.*")

The answer is a struct: label, score, tier, decision, model, error. A text that could not be answered has a row with its
error; a row is neither lost nor doubled, since Spark runs a task that failed again as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

from .bulk import Bulk

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .messages import Options

__all__ = ["ANSWER", "classify_udf"]

#: The type of an answer.
ANSWER = "label string, score float, tier string, decision string, model string, error string"


def classify_udf(
    target: Union[str, Sequence[str], None] = None,
    *,
    program: Optional[Sequence[str]] = None,
    client: Optional[Mapping[str, Any]] = None,
    batch_size: int = 128,
    concurrency: int = 8,
    timeout: float = 300.0,
    request_timeout: float = 30.0,
    failures: Literal["rows", "raise"] = "rows",
    **options: Unpack[Options],
) -> Any:
    """A pandas UDF from a column of texts to a column of structs of the type `ANSWER`, by Arrow both ways.

    The arguments are those of `Bulk`: a `target` that all ask, or a `program` that each Python worker runs for itself.
    A worker process has one client, which its tasks share one after the other.
    """
    import pandas
    from pyspark.sql.functions import pandas_udf

    bulk = Bulk(
        target,
        program=program,
        client=client,
        batch_size=batch_size,
        concurrency=concurrency,
        timeout=timeout,
        request_timeout=request_timeout,
        failures=failures,
        **options,
    )

    def tandem_classify(batches: Any) -> Any:
        classifier = bulk.classifier()
        for texts in batches:
            yield pandas.DataFrame(classifier.classify(texts.tolist())._asdict())

    # By these Spark knows that it gets columns one after the other. Written above they would be strings, which it can't
    # read.
    tandem_classify.__annotations__ = {"batches": Iterator[pandas.Series], "return": Iterator[pandas.DataFrame]}
    return pandas_udf(tandem_classify, ANSWER)
