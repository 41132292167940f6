"""Writes the test vectors of the hashed n-grams, which the Rust tests read too.

    python tests/write_vectors.py ../tests/data/ngrams.jsonl

They hold for 1-4-grams of code points, 2^20 buckets and 256 code points, once without words (`ids`) and once with
n-grams of one and two words (`ids_with_words`), whatever the shipped model uses.
"""

import sys
from pathlib import Path

from tandem_training.features import NGrams
from tandem_training.golden_file import write_jsonl
from tandem_training.golden_texts import TRICKY

if __name__ == "__main__":
    vectors = (
        {"text": text, "ids": NGrams().encode(text)[0], "ids_with_words": NGrams(max_words=2).encode(text)[0]}
        for text in TRICKY
    )
    write_jsonl(Path(sys.argv[1]), vectors)
