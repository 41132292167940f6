"""Writes tests/data/tokens/expressions.json: what Python's tokenizers (Oniguruma) find with expressions that mean something
else in other engines.

    venv/bin/python tools/hugging_face/expressions.py
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Regex, normalizers

TARGET = Path(__file__).resolve().parents[2] / "tests/data/tokens/expressions.json"
NAMES = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit".split()
EXPRESSIONS = [
    "^", r"^\s+", r"\s+$", "$", "a$", r"\Z", r"\z", r"\A", "^a", "(?m:a.b)", "(?m)a.b", "(?i:A.B)", "(?im:A.B)", "(?-m:a.b)", "(?<=a)^b", "(?:^|x)a",
    r"\R", r"\N+", r"\O", r"\w+", r"\W+", r"[\w]+", r"[^\w]+", r"[\W]", r"\b", r"\B", r"[[:^punct:]]+", r"[^[:punct:]]+", r"[[:punct:]a]", r"[a[:punct:]]",
    r"\p{^L}+", r"\P{Alnum}+", r"\P{^Alnum}+", r"\p{Word}+", r"[\p{Alnum}_]+", r"[^\p{Punct}]+", r"[\p{Word}]+", r"[\p{Graph}\p{Cntrl}]", r"[\d\s]+", r"\d\D\S", r"\h\H", r"[]a]", r"[^]a]", r"[~~a]", r"[\]^$a]", r"\^|\$", r"[$^]", r"\s+(?!\S)",
    *(f"[[:{name}:]]" for name in NAMES), *(f"\\p{{{name.capitalize()}}}" for name in NAMES),
]
TEXTS = [
    "a\n\n b", "a\n", "\n", "a\r\nb", "a\rb\n", "x a.b \n  c\t", "a\nb", "A b", "가ㄱⅧ 。、…₩·😀", "می‌روم می‍روم", "½ ² x_1", "a\u0085b\u2028c\u2029d",
    "क्षत्रिय हिन्दी", "ไทย ภาษา", "日本語、テスト。", "привет, мир!", "Ελληνικά; ναι", "שלום עולם", "ªº¼¾µß Ŀ", "a\u200b\ufeff\u00ad b", "] ^ $ ~ -- [", "١٢٣ ४५", "\u0000\u0007\u007f", "🇰🇷👩‍👩‍👧",
]


def main() -> None:
    rows = [{"expression": expression, "found": [normalizers.Replace(Regex(expression), "#").normalize_str(text) for text in TEXTS]} for expression in EXPRESSIONS]
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
    TARGET.write_text(f'{{"texts": {json.dumps(TEXTS)},\n"rows": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
