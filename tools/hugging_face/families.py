"""Small transformers with random weights, one a family, made by the real libraries.

A family is a tokenizer of the kind that its published models have, a configuration, and a problem. Sizes are arguments:
the fixtures of the tests are tiny, those that a server is compared with are larger.
"""

from __future__ import annotations

import collections
import dataclasses
import random
from collections.abc import Callable

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"


@dataclasses.dataclass(frozen=True)
class Size:
    """How large a model is."""

    vocabulary: int
    hidden: int
    layers: int
    positions: int


@dataclasses.dataclass(frozen=True)
class Family:
    """One family of models, with a problem to solve."""

    name: str
    tokenizer: Callable[[list[str], int], transformers.PreTrainedTokenizerFast]
    config: Callable[..., transformers.PretrainedConfig]
    labels: tuple[str, ...]
    problem: str | None = SINGLE
    pairs: bool = False
    # Positions that the family leaves unused.
    reserved: int = 0
    settings: dict = dataclasses.field(default_factory=dict)


def _word_piece(texts: list[str], size: int, **settings) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False))
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=ids
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def bert(texts: list[str], size: int) -> transformers.PreTrainedTokenizerFast:
    return transformers.BertTokenizerFast(tokenizer_object=_word_piece(texts, size), do_lower_case=True)


def minilm(texts: list[str], size: int) -> transformers.PreTrainedTokenizerFast:
    """As the published MiniLM exports have it: tokenizer.json pads and cuts every text to one length."""
    tokenizer = _word_piece(texts, size)
    tokenizer.enable_padding(length=16, pad_id=0, pad_token="[PAD]")
    tokenizer.enable_truncation(max_length=16)
    return transformers.BertTokenizerFast(tokenizer_object=tokenizer, do_lower_case=True)


def distilbert(texts: list[str], size: int) -> transformers.PreTrainedTokenizerFast:
    return transformers.DistilBertTokenizerFast(tokenizer_object=_word_piece(texts, size), do_lower_case=True)


def electra(texts: list[str], size: int) -> transformers.PreTrainedTokenizerFast:
    return transformers.ElectraTokenizerFast(tokenizer_object=_word_piece(texts, size), do_lower_case=True)


def roberta(texts: list[str], size: int) -> transformers.PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=("</s>", tokenizer.token_to_id("</s>")), cls=("<s>", tokenizer.token_to_id("<s>")), add_prefix_space=False
    )
    tokenizer.decoder = decoders.ByteLevel()
    return transformers.RobertaTokenizerFast(tokenizer_object=tokenizer)


def _unigram(texts: list[str], size: int, special: list[str], unknown: str, cls: str, sep: str, pair: str) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(" {2,}", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    # Each character needs a piece of its own: of a small vocabulary they would take all, and the rarer are unknown then.
    letters = collections.Counter("".join(texts))
    common = {letter for letter, _ in letters.most_common(size // 2)}
    known = ["".join(letter for letter in text if letter in common) for text in texts]
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token=unknown, show_progress=False)
    tokenizer.train_from_iterator(known, trainer)
    ids = [(token, tokenizer.token_to_id(token)) for token in (cls, sep)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{cls} $A {sep}", pair=pair, special_tokens=ids)
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def xlm_roberta(texts: list[str], size: int) -> transformers.PreTrainedTokenizerFast:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = _unigram(texts, size, special, "<unk>", "<s>", "</s>", "<s> $A </s> </s> $B </s>")
    return transformers.XLMRobertaTokenizerFast(tokenizer_object=tokenizer)


def deberta(texts: list[str], size: int) -> transformers.PreTrainedTokenizerFast:
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    pair = "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"
    tokenizer = _unigram(texts, size, special, "[UNK]", "[CLS]", "[SEP]", pair)
    return transformers.DebertaV2TokenizerFast(tokenizer_object=tokenizer, split_by_punct=False)


FAMILIES = [
    Family("bert", bert, transformers.BertConfig, ("bad", "fair", "good")),
    Family("roberta", roberta, transformers.RobertaConfig, ("negative", "positive"), reserved=2, settings={"type_vocab_size": 1}),
    Family("distilbert", distilbert, transformers.DistilBertConfig, ("toxic", "insult", "threat", "spam"), problem=MULTI),
    Family("electra", electra, transformers.ElectraConfig, ("stars",), problem=REGRESSION),
    Family(
        "deberta",
        deberta,
        transformers.DebertaV2Config,
        ("LABEL_0", "LABEL_1"),
        problem=None,
        settings={
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_biased_input": False,
            "type_vocab_size": 0,
            "pooler_dropout": 0.0,
        },
    ),
    Family(
        "xlm-roberta",
        xlm_roberta,
        transformers.XLMRobertaConfig,
        ("entailment", "neutral", "contradiction"),
        problem=None,
        pairs=True,
        reserved=2,
        settings={"type_vocab_size": 1},
    ),
    Family("minilm", minilm, transformers.BertConfig, ("no", "yes"), pairs=True),
]


def build(family: Family, texts: list[str], size: Size, seed: int = 7):
    """A tokenizer trained on the texts, and a model with random weights that spread its answers."""
    torch.manual_seed(seed)
    tokenizer = family.tokenizer(texts, size.vocabulary)
    # Where the family has fewer positions than the tokenizer says, the positions are the limit, as in published models.
    tokenizer.model_max_length = 512 if family.reserved else size.positions
    heads = max(2, size.hidden // 32)
    shape = dict(hidden_size=size.hidden, num_hidden_layers=size.layers, num_attention_heads=heads, intermediate_size=2 * size.hidden)
    if family.config is transformers.DistilBertConfig:
        shape = dict(dim=size.hidden, n_layers=size.layers, n_heads=heads, hidden_dim=2 * size.hidden)
    if family.config is transformers.ElectraConfig:
        shape["embedding_size"] = size.hidden
    config = family.config(
        vocab_size=len(tokenizer),
        max_position_embeddings=size.positions + family.reserved,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(family.labels)),
        label2id={label: at for at, label in enumerate(family.labels)},
        initializer_range=0.3,
        **shape,
        **family.settings,
    )
    config.problem_type = family.problem
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    centre(family, tokenizer, model, texts)
    return tokenizer, model


def centre(family: Family, tokenizer, model, texts: list[str]) -> None:
    """Moves the biases so that every label wins some of the texts: random weights would have one win them all."""
    head = [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part.out_features == len(family.labels)][-1]
    longest = model.config.max_position_embeddings - family.reserved
    with torch.no_grad():
        logits = [
            model(**tokenizer(text, text if family.pairs else None, truncation=True, max_length=longest, padding=False, return_tensors="pt")).logits[0]
            for text in texts[:100]
        ]
        head.bias -= torch.stack(logits).mean(dim=0)


def answer(family: Family, tokenizer, model, text: str, pair: str | None) -> dict:
    """What transformers says of one text, as its own pipeline would."""
    config = model.config
    # Set every time: a fixed length in tokenizer.json is not what transformers' pipeline uses.
    longest = min(tokenizer.model_max_length, config.max_position_embeddings - family.reserved)
    # As lists: of a lone pair whose second text is empty transformers makes a single text.
    inputs = tokenizer([text], pair if pair is None else [pair], truncation=True, max_length=longest, padding=False, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs).logits[0]
    labels = [config.id2label[at] for at in range(config.num_labels)]
    expected = {"text": text, "tokens": int(inputs["input_ids"].shape[1])}
    if pair is not None:
        expected["text_pair"] = pair
    if config.problem_type == REGRESSION:
        return expected | {"value": float(logits[0])}
    many = config.problem_type == MULTI or config.num_labels == 1
    scores = torch.sigmoid(logits) if many else torch.softmax(logits, dim=-1)
    winner = int(scores.argmax())
    return expected | {
        "label": labels[winner] if not many or scores[winner] >= 0.5 else "",
        "scores": {label: float(score) for label, score in zip(labels, scores, strict=True)},
    }


def some_texts(reviews: list[str], count: int, seed: int) -> list[str]:
    """Texts of all lengths, and awkward ones."""
    draw = random.Random(seed)
    awkward = [
        "",
        " ",
        "a",
        "I LOVED it!!",
        "naïve café — ﬁne",
        "좋아요 👍🏽 very good",
        "tab\tand\nnew line",
        "x" * 300,
        "[SEP] </s> <pad> [CLS]",
        "e\u0301 vs é",
    ]
    texts = list(awkward)
    while len(texts) < count:
        texts.append(" ".join(draw.sample(reviews, draw.choice([1, 1, 1, 2, 3, 8]))))
    return texts[:count]
