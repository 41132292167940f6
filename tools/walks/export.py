"""Trains a pipeline of scikit-learn and exports it as docs/models-sklearn.md says: `python3 export.py TRAIN.csv FOLDER`. Prints the
label that scikit-learn gives to one text."""

import csv
import sys
from pathlib import Path

import onnx
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

with open(sys.argv[1], newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
pipeline.fit([row["text"] for row in rows], [row["category"] for row in rows])

graph = to_onnx(
    pipeline,
    initial_types=[("text", StringTensorType([None, 1]))],
    options={
        id(pipeline[0]): {"tokenexp": r"[\pL\pN_][\pL\pN_]+", "locale": "C.UTF-8"},
        id(pipeline[-1]): {"zipmap": False},
    },
)
Path(sys.argv[2]).mkdir()
onnx.save(graph, f"{sys.argv[2]}/model.onnx")
print(pipeline.predict(["My card is lost, what can I do?"])[0])
