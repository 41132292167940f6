"""Asks whether Tandem makes the tokens that transformers makes, family by family and setting by setting.

    venv4/bin/python tools/hugging_face/tokens.py --write FOLDER      # transformers 4
    venv5/bin/python tools/hugging_face/tokens.py --write FOLDER      # transformers 5, another environment
    TANDEM_TOKENS=FOLDER cargo test --test it -- tokens --nocapture

Trains a small tokenizer a family, writes a folder for each setting as exporters would, and beside it the ids that AutoTokenizer
gives for 300 texts in 12 scripts, single and in pairs. With --short it writes what is under tests/data/tokens/folders.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import shutil
import tempfile
import unicodedata
from pathlib import Path

import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

MAJOR = transformers.__version__.split(".")[0]
WORDS = {
    "latin": "good Bad the FILM story was naïve Café résumé Ünder über 1999 don't it's",
    "hangul": "영화 정말 좋다 별로 재미있게 봤어요 굿 ㅋㅋ",
    "han": "电影 很好 故事 中国 不好看",
    "kana": "映画 とても よかった テスト コーヒー",
    "cyrillic": "фильм Хороший плохой ёлка история",
    "greek": "ταινία Καλή κακή ιστορία",
    "arabic": "فيلم جَيِّد سيئ ٢٠٢٤ قصة",
    "hebrew": "סרט טוֹב רע סיפור",
    "devanagari": "फ़िल्म अच्छी बुरी कहानी",
    "thai": "หนัง ดีมาก แย่ เรื่อง",
    "tamil": "படம் நல்ல மோசம் கதை",
    "ethiopic": "ፊልም ጥሩ መጥፎ ታሪክ",
}
ODD = [" ", "  ", "\n", "\t", "", "!", "。", "…", "😀", "👩‍👩‍👧", "½ ²", "\u200b", "\u00a0", "[MASK]", "<mask>", "</s>", "[SEP]", "<s>", "<new>", "<extra>", "Newword", "$A", "''", "``", "İ", "ß", "ﬁ"]


def texts(count: int, seed: int = 7) -> list[list[str | None]]:
    """Texts and, for every third, a second one."""
    chance = random.Random(seed)
    words = {script: line.split() for script, line in WORDS.items()}

    def one(script: str) -> str:
        parts = []
        for _ in range(chance.randint(1, 9)):
            word = chance.choice(words[script] if chance.random() < 0.75 else words["latin"])
            word = chance.choice([word, word, word.upper(), word.title(), unicodedata.normalize("NFD", word)])
            parts.append(word + chance.choice(ODD) if chance.random() < 0.4 else word)
        return chance.choice([" ", " ", " ", "  ", ""]).join(parts)

    scripts = list(words)
    return [[one(scripts[at % 12]), one(scripts[(at * 5) % 12]) if at % 3 == 0 else None] for at in range(count)]


def corpus() -> list[str]:
    """What tokenizers are trained with; a special token that is spelt out would become a piece of its own."""
    plain = [text for text, _ in texts(900, seed=1) if not any(odd in text.upper() for odd in ("<", "[", "$"))]
    return plain + [line.lower() for line in WORDS.values()] * 3


BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def template(first: str, last: str, doubled: bool, special: list[str], second: int = 1) -> processors.TemplateProcessing:
    pair = f"{first} $A {last} {last + ' ' if doubled else ''}$B:{second} {last}:{second}"
    ids = [(token, special.index(token)) for token in (first, last) if token]
    return processors.TemplateProcessing(single=f"{first} $A {last}".strip(), pair=pair.strip(), special_tokens=ids)


def word_piece(special: list[str]) -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]" if "[UNK]" in special else "<unk>"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=700, special_tokens=special, show_progress=False))
    return made


def bytes_bpe(special: list[str], pre: object = None) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre or pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False))
    return made


def unigram(special: list[str], unknown: str, normalizer: object, pre: object) -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.normalizer, made.pre_tokenizer, made.decoder = normalizer, pre, decoders.Metaspace()
    made.train_from_iterator(corpus(), trainers.UnigramTrainer(vocab_size=600, special_tokens=special, unk_token=unknown, show_progress=False))
    return made


def bert() -> Tokenizer:
    made = word_piece(BERT)
    made.post_processor = template("[CLS]", "[SEP]", False, BERT)
    return made


def mpnet() -> Tokenizer:
    special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    made = word_piece(special)
    made.post_processor = template("<s>", "</s>", True, special, 0)
    return made


def roberta() -> Tokenizer:
    made = bytes_bpe(ROBERTA)
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return made


def gpt2() -> Tokenizer:
    made = bytes_bpe(["<|endoftext|>"])
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    return made


def deberta() -> Tokenizer:
    special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    made = bytes_bpe(special)
    made.post_processor = template("[CLS]", "[SEP]", False, special)
    return made


def metaspace() -> object:
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])


def deberta_v2() -> Tokenizer:
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    steps = [normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "), normalizers.NFC(), normalizers.Strip(left=False, right=True)]
    made = unigram(special, "[UNK]", normalizers.Sequence(steps), pre_tokenizers.Sequence([pre_tokenizers.Metaspace()]))
    made.post_processor = template("[CLS]", "[SEP]", False, special)
    return made


def xlm_roberta() -> Tokenizer:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made = unigram(special, "<unk>", normalizers.NFKC(), metaspace())
    made.post_processor = template("<s>", "</s>", True, special, 0)
    return made


def albert() -> Tokenizer:
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    steps = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    made = unigram(special, "<unk>", normalizers.Sequence(steps), metaspace())
    made.post_processor = template("[CLS]", "[SEP]", False, special)
    return made


def t5() -> Tokenizer:
    special = ["<pad>", "</s>", "<unk>"]
    made = unigram(special, "<unk>", normalizers.NFKC(), metaspace())
    made.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return made


def llama() -> Tokenizer:
    special = ["<unk>", "<s>", "</s>"]
    made = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=900, special_tokens=special + [f"<0x{at:02X}>" for at in range(256)], show_progress=False))
    made.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    plain = json.loads(made.to_str())
    plain["added_tokens"] = plain["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(plain))


def qwen() -> Tokenizer:
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    made = bytes_bpe(["<|endoftext|>"], pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    made.normalizer = normalizers.NFC()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    return made


def clip() -> Tokenizer:
    special = ["<|startoftext|>", "<|endoftext|>"]
    pattern = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    made = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=700, special_tokens=special, end_of_word_suffix="</w>", show_progress=False))
    made.post_processor = processors.RobertaProcessing(("<|endoftext|>", 1), ("<|startoftext|>", 0), trim_offsets=False, add_prefix_space=False)
    return made


FAMILIES = {
    "bert": ("BertTokenizer", "bert", bert), "distilbert": ("DistilBertTokenizer", "distilbert", bert), "electra": ("ElectraTokenizer", "electra", bert),
    "mpnet": ("MPNetTokenizer", "mpnet", mpnet), "roberta": ("RobertaTokenizer", "roberta", roberta), "bart": ("BartTokenizer", "bart", roberta),
    "longformer": ("LongformerTokenizer", "longformer", roberta), "gpt2": ("GPT2Tokenizer", "gpt2", gpt2), "deberta": ("DebertaTokenizer", "deberta", deberta),
    "deberta-v2": ("DebertaV2Tokenizer", "deberta-v2", deberta_v2), "xlm-roberta": ("XLMRobertaTokenizer", "xlm-roberta", xlm_roberta),
    "albert": ("AlbertTokenizer", "albert", albert), "t5": ("T5Tokenizer", "t5", t5), "llama": ("LlamaTokenizer", "llama", llama),
    "qwen2": ("Qwen2Tokenizer", "qwen2", qwen), "clip": ("CLIPTokenizer", "clip", clip), "generic": ("PreTrainedTokenizerFast", "modernbert", bert),
}
UNIGRAM = {"deberta-v2", "xlm-roberta", "albert", "t5"}


def settings(family: str, plain: dict) -> dict[str, dict]:
    """By name: what each file of the folder holds besides the usual."""
    size = max(token["id"] for token in plain["added_tokens"]) + 1
    vocabulary = len(plain["model"]["vocab"])
    decoder = {str(token["id"]): {key: value for key, value in token.items() if key != "id"} for token in plain["added_tokens"]}
    added = {"content": "<new>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False, "special": False}
    word = {"content": "Newword", "lstrip": False, "rstrip": False, "normalized": True, "single_word": True, "special": False}
    turned = copy.deepcopy(decoder)
    turned[str(size - 1)] |= {"lstrip": True, "rstrip": True}
    found = {
        "class": {}, "no-config": {"config": None}, "no-class": {"class": False},
        "added": {"config": {"added_tokens_decoder": decoder | {str(vocabulary): added, str(vocabulary + 1): word}}},
        "turned": {"config": {"added_tokens_decoder": turned}},
        "additional": {"config": {"additional_special_tokens": ["<extra>", "<new>"]}},
        "older": {"special": {"additional_special_tokens": ["<extra>"]}, "older": {"<extra>": vocabulary, "Newword": vocabulary + 1}},
        "split": {"config": {"split_special_tokens": True}},
        "left": {"config": {"truncation_side": "left", "padding_side": "left", "model_max_length": 12}},
        "right": {"config": {"model_max_length": 12}},
        "own-left": {"config": {"model_max_length": 12}, "steps": {"truncation": {"direction": "Left", "max_length": 9, "strategy": "LongestFirst", "stride": 0}}},
        "no-types": {"config": {"model_input_names": ["input_ids", "attention_mask"]}},
        "types": {"config": {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}},
        "config-class": {"class": False, "model": {"tokenizer_class": FAMILIES[family][0]}},
        "unlisted": {"unlisted": True},
    }
    kind = (plain["normalizer"] or {}).get("type")
    if kind == "BertNormalizer":
        for lower in (True, False):
            for strip in (True, False, None):
                found[f"case-{lower}-{strip}"] = {"config": {"do_lower_case": lower, "strip_accents": strip}}
            found[f"own-{lower}"] = {"normalizer": {"lowercase": lower, "strip_accents": not lower, "handle_chinese_chars": lower}}
        found["chinese"] = {"config": {"tokenize_chinese_chars": False}}
        found["sequence"] = {"config": {"do_lower_case": False}, "steps": {"normalizer": {"type": "Sequence", "normalizers": [plain["normalizer"]]}}}
    if (plain["pre_tokenizer"] or {}).get("type") == "ByteLevel":
        for own in (True, False):
            for asked in (True, False, None):
                config = {} if asked is None else {"add_prefix_space": asked}
                found[f"space-{own}-{asked}"] = {"config": config, "steps": {"pre_tokenizer": plain["pre_tokenizer"] | {"add_prefix_space": own}}}
    for first in (True, False):
        for last in (True, False):
            found[f"ends-{first}-{last}"] = {"config": {"add_bos_token": first, "add_eos_token": last}}
    return found


def write(folder: Path, family: str, plain: dict, extra: dict) -> None:
    name, model_type, _ = FAMILIES[family]
    steps = copy.deepcopy(plain) | extra.get("steps", {})
    if "normalizer" in extra:
        steps["normalizer"] |= extra["normalizer"]
    if extra.get("unlisted"):
        steps["added_tokens"] = [token for token in steps["added_tokens"] if "mask" not in token["content"].lower()]
    model = {"model_type": model_type, "transformers_version": transformers.__version__, "id2label": {"0": "no", "1": "yes"}, "max_position_embeddings": 300, "problem_type": "single_label_classification"}
    files = {"tokenizer.json": steps, "config.json": model | extra.get("model", {})}
    config = extra.get("config", {})
    if config is not None:
        named = {} if extra.get("class", True) is False else {"tokenizer_class": name}
        files["tokenizer_config.json"] = named | {"model_max_length": 200} | config
    if "special" in extra:
        files["special_tokens_map.json"] = extra["special"]
    if "older" in extra:
        files["added_tokens.json"] = extra["older"]
    folder.mkdir(parents=True)
    for file, value in files.items():
        (folder / file).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def expected(folder: Path, asked: list[list[str | None]], length: int) -> dict:
    """What AutoTokenizer makes of the texts; types are zeros where it gives none, as every runner of exports does."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [tokenizer(text, pair, truncation=True, max_length=length) for text, pair in asked]
    ids = [row["input_ids"] for row in rows]
    types = [row.get("token_type_ids", [0] * len(row["input_ids"])) for row in rows]
    return {"class": type(tokenizer).__name__, "ids": ids, "types": types}


SHORT = {"bert": ["case-True-False", "own-False", "no-config", "added"], "roberta": ["space-False-True", "space-True-None"], "gpt2": ["space-True-None"], "llama": ["ends-False-True"], "mpnet": ["chinese"], "deberta": ["unlisted"], "electra": ["no-types"], "xlm-roberta": ["own-left"], "t5": ["older"], "qwen2": ["split"], "clip": ["additional"]}

SHORT_5 = {"roberta", "gpt2", "llama", "mpnet"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--texts", type=int, default=300)
    asked = parser.parse_args()
    asked.write.mkdir(parents=True, exist_ok=True)
    chosen = texts(asked.texts)
    (asked.write / "texts.json").write_text(json.dumps(chosen), encoding="utf-8")
    count, refused = 0, []
    for family, (_, _, build) in FAMILIES.items():
        # Both versions read the same tokenizers: the first one that runs trains them.
        kept = asked.write / f"{family}.tokenizer"
        if not kept.is_file():
            kept.write_text(build().to_str(), encoding="utf-8")
        plain = json.loads(kept.read_text(encoding="utf-8"))
        for name, extra in settings(family, plain).items():
            if asked.short and (name not in SHORT.get(family, []) or (MAJOR == "5" and family not in SHORT_5)):
                continue
            folder = asked.write / f"{family}.{name}.{MAJOR}"
            shutil.rmtree(folder, ignore_errors=True)
            write(folder, family, plain, extra)
            length = 12 if (extra.get("config") or {}).get("model_max_length") == 12 else 200 if extra.get("config", {}) is not None else 300
            try:
                found = expected(folder, chosen, length)
            except Exception as error:
                refused.append(f"{folder.name}: {type(error).__name__}: {error}"[:150])
                shutil.rmtree(folder)
                continue
            (folder / "expected.json").write_text(json.dumps(found), encoding="utf-8")
            count += 1
        if asked.short:
            kept.unlink()
    print(f"transformers {transformers.__version__}: {count} folders; it refuses {len(refused)}:", *refused, sep="\n")


if __name__ == "__main__":
    main()
