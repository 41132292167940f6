"""pandas and Arrow, which are imported only where they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from .results import Predictions, Window

if TYPE_CHECKING:
    import pandas
    import pyarrow

_COLUMNS = ("label", "confidence", "tier", "decision", "token_count", "truncated")
_OF_A_WINDOW = ("start_byte", "end_byte", "label", "confidence", "tier")


def _values(answers: Predictions) -> dict[str, list[Any]]:
    """The columns; value, scores and windows where there are any."""
    values: dict[str, list[Any]] = {name: [getattr(one, name) for one in answers] for name in _COLUMNS}
    values["model"] = [None if one.model is None else str(one.model) for one in answers]
    if any(one.value is not None for one in answers):
        values["value"] = [one.value for one in answers]
    if any(one.scores for one in answers):
        values["scores"] = [{score.label: score.score for score in one.scores} for one in answers]
    if any(one.windows for one in answers):
        values["windows"] = [[_window(found) for found in one.windows] for one in answers]
    return values


def _window(one: Window) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _OF_A_WINDOW}


def to_pandas(answers: Predictions, index: Any = None) -> pandas.DataFrame:
    """A row for each text. `scores` is a dict by label, `windows` a list of dicts."""
    import pandas

    frame: pandas.DataFrame = pandas.DataFrame(_values(answers), index=index)
    return frame


def to_arrow(answers: Predictions) -> pyarrow.Table:
    """A row for each text. `scores` is a map from label to score, `windows` a list of structs."""
    import pyarrow

    types: dict[str, Any] = {
        "label": pyarrow.string(),
        "confidence": pyarrow.float32(),
        "tier": pyarrow.string(),
        "decision": pyarrow.string(),
        "token_count": pyarrow.int32(),
        "truncated": pyarrow.bool_(),
        "model": pyarrow.string(),
        "value": pyarrow.float32(),
        "scores": pyarrow.map_(pyarrow.string(), pyarrow.float32()),
        "windows": pyarrow.list_(
            pyarrow.struct(
                {
                    "start_byte": pyarrow.int32(),
                    "end_byte": pyarrow.int32(),
                    "label": pyarrow.string(),
                    "confidence": pyarrow.float32(),
                    "tier": pyarrow.string(),
                }.items()
            )
        ),
    }
    values = _values(answers)
    if "scores" in values:
        values["scores"] = [list(scores.items()) for scores in values["scores"]]
    arrays = [pyarrow.array(column, types[name]) for name, column in values.items()]
    return pyarrow.table(arrays, names=list(values))


def _is_frame(table: Any) -> bool:
    return hasattr(table, "iloc") and hasattr(table, "columns")


def _names(table: Any) -> list[str]:
    if _is_frame(table):
        return list(table.columns)
    if hasattr(table, "column_names"):
        return list(table.column_names)
    if hasattr(table, "schema"):
        return list(table.schema.names)
    raise TypeError(f"table is of type {type(table).__name__}, it must be a pandas DataFrame or an Arrow table")


def columns(table: Any, text: str, text_pair: Optional[str], prefix: str) -> tuple[Any, Any]:
    """The column of texts, and that of second texts. An error if a column of the answers is there already."""
    names = _names(table)
    for column in (*_COLUMNS, "model", "value", "scores", "windows"):
        if prefix + column in names:
            raise ValueError(f"the table has a column {prefix + column!r} already: give another prefix")
    for name in (text, text_pair):
        if name is not None and name not in names:
            raise ValueError(f"the table has no column {name!r}; it has {', '.join(map(repr, names))}")
    found = table if _is_frame(table) else {name: table.column(name) for name in (text, text_pair) if name is not None}
    return found[text], None if text_pair is None else found[text_pair]


def with_answers(table: Any, answers: Predictions, prefix: str) -> Any:
    """The table with a column for each column of the answers."""
    if _is_frame(table):
        new = to_pandas(answers, table.index)
        # Without its index, which may hold a value twice.
        return table.assign(**{prefix + name: new[name].array for name in new.columns})
    new_table = to_arrow(answers)
    if not hasattr(table, "combine_chunks"):
        import pyarrow

        # A record batch, whose columns are in one piece each.
        arrays = table.columns + [column.combine_chunks() for column in new_table.columns]
        names = table.schema.names + [prefix + name for name in new_table.column_names]
        return pyarrow.RecordBatch.from_arrays(arrays, names=names)
    for name in new_table.column_names:
        table = table.append_column(prefix + name, new_table.column(name))
    return table
