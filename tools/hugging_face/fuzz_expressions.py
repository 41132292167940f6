"""Asks whether expressions mean the same to Tandem as to Python's tokenizers (Oniguruma), with expressions made by chance.

    venv/bin/python tools/hugging_face/fuzz_expressions.py FILE [--count 3000] [--seed 1]
    TANDEM_EXPRESSIONS=FILE cargo test --lib -- expressions_of_chance

The second line writes beside FILE, as .txt, how many find the same and how many are refused by name, and fails if one finds something
else. One that needs more than a million steps for a match ends there, in either engine: no difference of meaning.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from tokenizers import Regex, normalizers

LETTERS = list("asktfilnjwyhσςΣßẞſKkİıiIÅåµμŉǰΐΰևﬁﬀﬆͅιʼnß¡ a1_-.\n") + ["ss", "SS", "ff", "fi", "st", "ffi", "i̇", "ʼn", "եւ", "ά", "αι", "ᾳ"]
ESCAPES = r"\w \W \d \D \s \S \h \H \b \B \R \N \O \X \Z \z \A \G \K \y \Y \p{L} \P{L} \p{Lu} \p{^Ll} \p{Han} \p{Alnum} \p{Punct} \p{Greek} \p{InGreek_and_Coptic} \pL \n \t \e \a \v \f \r \x41 \x{DF} \x{1E9E} \u0130 \101 \0 \cA \C-a \Q \E \m \i \_ \- \/ \' \  \é \1 \g<0> \k<a> \o{101} \u{41} \p{L}".split(" ")
IN_CLASS = [*LETTERS, *ESCAPES, "[:alpha:]", "[:^punct:]", "[:space:]", "[:foo:]", "[a]", "[^a]", "[a-c]", "&&", "&&[a-k]", "&&[^s]", "--", "~~", "a-k", "s-t", "À-ÿ", "^", "]", "[", "a-", "-a", r"\]", r"\[", r"a-\d", r"\d-a", "|", "(", ")", "$", ".", "#", " ", "&", "{", "}", "z-ſ", "I-İ"]
TEXTS = [
    "Straße STRASSE straẞe ſtraſſe sS ss Ss", "K kg Kg KG k", "İstanbul ıssız Iİıi i̇ I", "ΟΔΟΣ οδος οδοσ ς Σ σ", "ﬁn fin FIN ﬀ ff ﬃ ffi ﬆ st ſt ﬅ", "ŉ ʼn ʼN ǰ ǰ ΐ ΐ ΰ և եւ ᾳ αι ΑΙ ά", "a-b_c d.e\n f\t1-2 [x] {y} (z) | & ~ ^ $ #", "Å å Å µ μ ¡ é É Ω ω Ω", "a\r\nb\nc\u2028d\u0085e\x0b\x0c", "\x07\x08\x1b\x00 pL QE m i AB", "한국어 일본 中文 がぎ", "s S ſ aas kS tT yY wW h",
]


def atom(chance: random.Random, depth: int) -> str:
    kind = chance.random()
    if kind < 0.35:
        return "".join(chance.choice(LETTERS) for _ in range(chance.randint(1, 3)))
    if kind < 0.5:
        return chance.choice(ESCAPES)
    if kind < 0.75:
        return "[" + chance.choice(["", "", "^"]) + "".join(chance.choice(IN_CLASS) for _ in range(chance.randint(1, 4))) + "]"
    if kind < 0.8 or depth > 2:
        return chance.choice([".", "^", "$", "#", "]", "}", "{", "&&", "~", "(?#a[)"])
    opening = chance.choice(["(", "(?:", "(?i:", "(?i-m:", "(?m:", "(?x:", "(?-i:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?<a>", "(?s:", "(?~", "(?mi:"])
    return opening + expression(chance, depth + 1) + ")"


def expression(chance: random.Random, depth: int = 0) -> str:
    made = ""
    for _ in range(chance.randint(1, 3)):
        made += atom(chance, depth)
        if chance.random() < 0.3:
            made += chance.choice(["+", "*", "?", "+?", "*?", "??", "++", "*+", "?+", "{2}", "{1,2}", "{,2}", "{1,}", "{2}?", "{1,2}?", "{2}+", "{1,2}+", "{2,1}", "**", "{x}", "+*"])
        if chance.random() < 0.12:
            made += "|"
        if chance.random() < 0.08:
            made += chance.choice(["(?i)", "(?m)", "(?x)", "(?-i)", "(?im)"])
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance, rows, bad = random.Random(arguments.seed), {}, 0
    while len(rows) < arguments.count:
        made = chance.choice(["", "(?i)"]) + expression(chance)
        try:
            step = normalizers.Replace(Regex(made), "#")
            rows[made] = [step.normalize_str(text) for text in TEXTS]
        except BaseException as error:  # its panics are no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            bad += 1
    lines = [{"expression": made, "found": found} for made, found in rows.items()]
    arguments.file.write_text(json.dumps({"texts": TEXTS, "rows": lines}), encoding="utf-8")
    print(f"{len(lines)} expressions, {bad} that Oniguruma refuses left out")


if __name__ == "__main__":
    main()
