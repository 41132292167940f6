"""Golden examples from a fitted scikit-learn pipeline: its probabilities, or its scores where it has none.

skl2onnx does not export everything as it is (token patterns, runs of white space, sublinear_tf), so the export is asked
too, and texts that it answers otherwise are named.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .calibration import softmax

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from .golden_settings import Settings

TINY = np.finfo(np.float32).tiny  # a probability of 0 stands in the logarithm as this


def examples(
    file: Path, graph: Path, settings: "Settings", texts: Sequence[str], tolerance: float, leave_out: bool
) -> list[dict]:
    """One example a text. Stops if the export answers some texts otherwise, or leaves those out."""
    import joblib

    if settings.preprocess["kind"] != "string":
        raise ValueError(f"preprocess.kind is {settings.preprocess['kind']!r}, and a pipeline reads the text: \"string\"")
    pipeline = joblib.load(file)
    kept = [settings.cut(text) for text in texts]
    logits, probabilities = answers(pipeline, kept, settings)
    exported = _of_export(graph, kept, settings)
    away = np.abs(exported - probabilities).max(axis=1)
    differing = np.flatnonzero(~(away <= tolerance))
    if len(differing):
        worst = int(np.argmax(away))
        message = (
            f"the export answers {len(differing)} of {len(texts)} texts otherwise than scikit-learn, "
            f"by up to {away[worst]:.4f}, for instance {texts[worst][:40]!r}"
        )
        if not leave_out:
            raise ValueError(f"{message}; export it anew (docs/models-sklearn.md), or give --leave-out-differing")
        print(f"{message}: left out", file=sys.stderr)
    return [
        {
            "text": text,
            "ids": [],
            "truncated": len(short) < len(text),
            "logits": [round(float(value), 6) for value in logits[at]],
            "probabilities": [round(float(value), 7) for value in probabilities[at]],
        }
        for at, (text, short) in enumerate(zip(texts, kept, strict=True))
        if at not in differing
    ]


def answers(pipeline: "Pipeline", texts: Sequence[str], settings: "Settings") -> tuple[np.ndarray, np.ndarray]:
    """Logits and probabilities by scikit-learn, in the order of the manifest's labels."""
    order = _order(pipeline, settings)
    if settings.onnx.get("output_kind") == "probabilities":
        found = pipeline.predict_proba(list(texts))[:, order]
        return np.log(np.maximum(found, TINY)), found
    scores = np.asarray(pipeline.decision_function(list(texts)))
    if scores.ndim == 1:
        # One score tells two classes apart; the answer is its logistic function whatever the temperature.
        half = scores * settings.temperature / 2
        scores = np.stack([-half, half], axis=1)
    scores = scores[:, order]
    return scores, softmax(scores, settings.temperature)


def _order(pipeline: "Pipeline", settings: "Settings") -> list[int]:
    """The place of each label among the pipeline's classes."""
    classes = [str(int(name)) if isinstance(name, (bool, np.bool_)) else str(name) for name in pipeline.classes_]
    if len(classes) != len(settings.labels):
        raise ValueError(f"the pipeline has {len(classes)} classes, the manifest {len(settings.labels)} labels")
    for names in (settings.onnx.get("keys"), settings.labels):
        if names and sorted(names) == sorted(classes):
            return [classes.index(name) for name in names]
    print(f"the pipeline calls its classes {classes}, the manifest {settings.labels}: the order is taken to be the same")
    return list(range(len(classes)))


def _of_export(graph: Path, texts: Sequence[str], settings: "Settings") -> np.ndarray:
    """The probabilities that the export gives, each text alone, as the server reads them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    shape = next(part.shape for part in session.get_inputs() if part.name == settings.onnx["input"])
    names = settings.onnx.get("columns") or [settings.onnx["output"]]
    rows = []
    for text in texts:
        given = np.array([text.replace("\0", " ")], dtype=object).reshape([1] * len(shape))
        found = session.run(names, {settings.onnx["input"]: given})
        rows.append(_row(found, settings))
    raw = np.array(rows, dtype=np.float64)
    return raw if settings.onnx.get("output_kind") == "probabilities" else softmax(raw, settings.temperature)


def _row(found: list, settings: "Settings") -> list[float]:
    if len(found) > 1:
        return [float(np.ravel(column)[0]) for column in found]
    if isinstance(found[0], list):
        of_class = {str(key): value for key, value in found[0][0].items()}
        return [of_class[key] for key in settings.onnx.get("keys") or settings.labels]
    values = np.ravel(found[0]).tolist()
    return values if len(values) > 1 else [-values[0] / 2, values[0] / 2]
