"""A user's code, which mypy --strict checks against the installed package; it is not run."""

from collections.abc import AsyncIterator, Iterator
from typing import Optional, Union

from tandem_text import (
    AsyncClient,
    Client,
    Decision,
    Explanation,
    Options,
    Prediction,
    Predictions,
    TandemError,
    Window,
)


def threads(client: Client, lines: Iterator[str]) -> list[str]:
    one: Prediction = client.predict("text", route="cascade", top_k=2)
    many: Predictions = client.predict(["text"], timeout=2)
    why: Explanation = client.explain("text")
    decision: Decision = one.decision
    asked: Options = {"route": "fast", "priority": "bulk"}
    parts: tuple[Window, ...] = client.predict("text", truncation="windows", include_windows=True).windows
    threshold: Optional[float] = client.predict("text", route="cascade", min_precision=0.9).min_confidence
    streamed: Iterator[Prediction] = client.predict_stream(lines, **asked)
    outcomes: Iterator[Union[Prediction, TandemError]] = client.predict_stream(lines, return_errors=True)
    labels = [answer.label for answer in streamed]
    print(parts[0].start_byte, threshold)
    results: dict[str, Union[Predictions, TandemError]] = client.predict_tasks(["text"], ["one", "other"], top_k=1)
    single: dict[str, Union[Prediction, TandemError]] = client.predict_tasks("text")
    print(results, single)
    return [decision, why.label, many[0].label, *many.labels, *labels, *map(str, outcomes)]


async def tasks(client: AsyncClient, lines: AsyncIterator[str]) -> list[str]:
    async with client:
        one: Prediction = await client.predict("text")
        many: Predictions = await client.predict(iter(["text"]))
        return [one.label, *many.labels] + [answer.label async for answer in client.predict_stream(lines)]


def mistakes(client: Client) -> None:
    # Each is a mistake that mypy must see: without one, the comment on it is an error itself.
    client.predict("text", route="fats")  # type: ignore[call-overload]
    client.predict("text", min_confidense=0.5)  # type: ignore[call-overload]
    print(client.predict("text").lable)  # type: ignore[attr-defined]
    print(client.predict("text").decision == "escalate")  # type: ignore[comparison-overlap]
