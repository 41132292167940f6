"""Learns the deep model's WordPiece vocabulary from the prepared reviews.

    python -m tandem_training.deep_tokenizer --train data/train.tsv --stars data/stars.tsv --out tokenizer.json

The result has neither padding nor truncation: the manifest says how long a text may be.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def last_column(path: Path) -> Iterator[str]:
    """The texts of a prepared file: the last of its tab-separated columns."""
    with open(path, encoding="utf-8", newline="") as file:
        next(file)
        for line in file:
            yield line.rstrip("\n").rsplit("\t", 1)[1]


def build(texts: Iterator[str], size: int, alphabet: int) -> Tokenizer:
    """Learns `size` pieces; texts are normalised as BERT does, with NFC and no accent stripping."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Lowercase(),
            normalizers.BertNormalizer(
                clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False
            ),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=3, limit_alphabet=alphabet, special_tokens=SPECIAL
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    return without_added(tokenizer)


def without_added(tokenizer: Tokenizer) -> Tokenizer:
    """The same, but a text that spells a special piece, such as [SEP], does not get it."""
    parts = json.loads(tokenizer.to_str())
    parts["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="train.tsv of the prepare step")
    parser.add_argument("--stars", type=Path, required=True, help="stars.tsv of the prepare step")
    parser.add_argument("--out", type=Path, required=True, help="the tokenizer.json to write")
    parser.add_argument("--size", type=int, default=24000, help="number of pieces (default 24000)")
    parser.add_argument("--alphabet", type=int, default=3000, help="most characters kept (default 3000)")
    arguments = parser.parse_args()

    def texts() -> Iterator[str]:
        yield from last_column(arguments.train)
        yield from last_column(arguments.stars)

    tokenizer = build(texts(), arguments.size, arguments.alphabet)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(arguments.out))
    print(f"{arguments.out}: {tokenizer.get_vocab_size()} pieces")


if __name__ == "__main__":
    main()
