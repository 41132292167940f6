"""One call for several tasks: which ones are asked, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

import grpc

from . import messages, results
from ._stubs import prediction_pb2
from .errors import TandemError, Unavailable, Unimplemented, counted_from, from_status
from .messages import Options

#: Every task of the server.
ALL_TASKS = "*"


def asked_names(tasks: Any, options: Options) -> list[str]:
    """Looks at the names of tasks, of which one alone may be a string."""
    for name in ("task", "model"):
        if options.get(name) is not None:
            raise ValueError(f"{name} does not go with tasks")
    listed = [tasks] if isinstance(tasks, str) else list(tasks)
    for at, name in enumerate(listed):
        messages.check_text(f"tasks[{at}]", name)
    if not listed:
        raise ValueError(f"tasks is empty, it must name a task, or be {ALL_TASKS!r}")
    return listed


def count(names: Sequence[str]) -> Optional[int]:
    """How many tasks are asked; None for all that the server has."""
    return None if list(names) == [ALL_TASKS] else len(names)


def joined(
    asked: messages.Asked, tasks: Sequence[str], answers: Sequence[tuple[Sequence[str], prediction_pb2.PredictResponse]]
) -> dict[str, Union[results.Predictions, TandemError]]:
    """The answers of all requests of one call: of each task, or why it has none."""
    found: dict[str, list[tuple[Sequence[str], prediction_pb2.PredictResponse]]] = {}
    found.update((task, []) for task in tasks if task != ALL_TASKS)
    errors: dict[str, TandemError] = {}
    start = 0
    for texts, answer in answers:
        if not answer.task_results:
            message = "the server is older than requests for several tasks"
            raise Unimplemented(message, code=grpc.StatusCode.UNIMPLEMENTED)
        for one in answer.task_results:
            parts = found.setdefault(one.task, [])
            if one.WhichOneof("outcome") == "response":
                parts.append((texts, one.response))
            else:
                errors.setdefault(one.task, counted_from(from_status(one.status), start))
        start += len(texts)
    for task, parts in found.items():
        if len(parts) < len(answers) and task not in errors:
            # All tasks of a server were asked, and it got another one during the call, or lost one.
            message = f"the task {task} was not answered for all texts"
            errors[task] = Unavailable(message, code=grpc.StatusCode.UNAVAILABLE)
    return {task: errors[task] if task in errors else messages.joined(asked, parts) for task, parts in found.items()}
