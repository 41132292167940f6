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
    # Without case: one letter may be two, and a class is folded before it is turned.
    "(?i)ß", "(?i)ss", "(?i)sss", "(?i)s+s", "(?i)ss+", "(?i)s{2}", "(?i)[ß]", "(?i)[^ß]+", "(?i)[ß]+", r"(?i)\x{DF}", "(?i)ﬃ", "(?i)ffi", "(?i)ﬀi", "(?i)k", "(?i)[k]", "(?i)ſ", "(?i)i", "(?i)İ", "(?i)[İ]", "(?i)ı", "(?i)σ", "(?i)[^σ]", "(?i)ŉ", "(?i)ΐ", "(?i)αι", "(?i)եւ", r"(?i)\p{Ll}", r"(?i)[\p{Ll}]", r"(?i)[^\P{Ll}]", "(?i)[[:lower:]]", "(?i)[^[^k]]", "(?i)[^[^a]]", "(?i:'s|'re)", "a(?i)b|c", "(a(?i)b|c)d", "(?i)a(?-i)b|c",
    # Escapes and sets in classes, and how often.
    r"[\R]+", r"[\X]+", r"[\b]", r"[\h]", r"[\O\N\K\Z]", r"[\y\G]", r"[\101\x42\u0043]", r"\m\Q", r"\pL+", r"\101\x{1E9E}", "[a-c&&[bc]d]", "[^a-c&&b]", "[a&&b]", "[a[bc]]", "[a[^bc]]", "[a-c-e]", "[a-]", "[--a]", "(?x)a #[\nb", "(?#[)a", "a{2}+", "a{2}?", "a{,2}", "a{1,}+", "a{x}", "a**", "a+?+", "a++", "(?:a|b)?+", "(?i-m:a.b)",
    *(f"[[:{name}:]]" for name in NAMES), *(f"\\p{{{name.capitalize()}}}" for name in NAMES),
]
TEXTS = [
    "a\n\n b", "a\n", "\n", "a\r\nb", "a\rb\n", "x a.b \n  c\t", "a\nb", "A b", "가ㄱⅧ 。、…₩·😀", "می‌روم می‍روم", "½ ² x_1", "a\u0085b\u2028c\u2029d",
    "क्षत्रिय हिन्दी", "ไทย ภาษา", "日本語、テスト。", "привет, мир!", "Ελληνικά; ναι", "שלום עולם", "ªº¼¾µß Ŀ", "a\u200b\ufeff\u00ad b", "] ^ $ ~ -- [", "١٢٣ ४५", "\u0000\u0007\u007f", "🇰🇷👩‍👩‍👧",
    "Straße STRASSE straẞe ſtraſſe sS ss sſ", "K k K kg", "İ i̇ I i ı ΟΔΟΣ οδος", "ﬁn FI ﬀ ff ﬃ ffi ﬀi", "ŉ ʼn ΐ ΐ ᾳ αι եւ և", "aB c C ab d.e a{x} aaaaa a-b", "R X b\x08 pLL mQ ABC f9", "'S 's 're 'ſ",
]


def main() -> None:
    rows = [{"expression": expression, "found": [normalizers.Replace(Regex(expression), "#").normalize_str(text) for text in TEXTS]} for expression in EXPRESSIONS]
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
    TARGET.write_text(f'{{"texts": {json.dumps(TEXTS)},\n"rows": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
