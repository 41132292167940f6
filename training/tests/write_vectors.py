"""Writes the test vectors of the hashed n-grams, which the Rust tests read too.

    python tests/write_vectors.py ../tests/data/ngrams.jsonl

They hold for 1-4-grams, 2^20 buckets and 256 code points, whatever the shipped model uses.
"""

import sys
from pathlib import Path

from tandem_training.features import NGrams
from tandem_training.golden_file import write_jsonl
from tandem_training.golden_texts import TRICKY

if __name__ == "__main__":
    write_jsonl(Path(sys.argv[1]), ({"text": text, "ids": NGrams().encode(text)[0]} for text in TRICKY))
