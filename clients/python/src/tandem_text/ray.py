"""Ray Data: an actor class for `map_batches`. Needs `tandem-text[ray]`.

    from tandem_text.bulk import Bulk
    from tandem_text.ray import Classify

    bulk = Bulk("dns:///tandem:50051", route="cascade")
    answers = reviews.map_batches(
        Classify, fn_constructor_args=("review", bulk), batch_size=1024, batch_format="pyarrow", concurrency=(1, 4)
    )

Each row gets the columns label, score, tier, decision, model and error. A text that could not be answered has its
error; a row is neither lost nor doubled, since Ray gives the batches of an actor that died to another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bulk import Answers, Bulk

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Classify"]


class Classify:
    """Adds answers to batches in the format "pyarrow". `column` is that of the texts; the new ones begin with `prefix`.

    The actors of one process share a client; by default Ray gives each actor a process. Ray restarts an actor that
    dies. With `concurrency=(1, 4)` it has one to four, as the work needs; within each, `Bulk` finds how many requests
    may be under way.
    """

    def __init__(self, column: str, bulk: Bulk, prefix: str = "") -> None:
        self._column = column
        self._prefix = prefix
        self._classifier = bulk.classifier()

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """The batch with its answers."""
        import pyarrow

        if not isinstance(batch, pyarrow.Table):
            raise TypeError(f'the batch is of type {type(batch).__name__}: give map_batches batch_format="pyarrow"')
        types = {"score": pyarrow.float32()}
        for name in Answers._fields:
            if self._prefix + name in batch.column_names:
                raise ValueError(f"the data has a column {self._prefix + name!r} already: give another prefix")
        answers = self._classifier.classify(batch.column(self._column).to_pylist())
        for name, values in answers._asdict().items():
            array = pyarrow.array(values, types.get(name, pyarrow.string()))
            batch = batch.append_column(self._prefix + name, array)
        return batch
