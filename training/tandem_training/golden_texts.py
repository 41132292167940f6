"""The texts of the golden examples: what a preprocessing step is most likely to get wrong.

`TRICKY` is written out here; `golden_texts(reviews)` adds ordinary held-out reviews. Every
model's golden file uses the same texts, with that model's own ids and logits.
"""

import random
import unicodedata
from collections.abc import Sequence

from . import SEED
from .text import WHITE_SPACE

_FILM = "정말 재미있는 영화였어요"


def _nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


EMPTY = ["", " ", "   ", "\t\n\r ", WHITE_SPACE, "\u3000\u00a0\u2003"]

WHITE = [
    "  앞뒤 공백  ",
    "탭\t줄\n바꿈\r\n그리고\x0b\x0c끝",
    "전각\u3000공백과\u00a0안 끊는\u202f공백",
    "칸\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a칸",
    "줄\u2028문단\u2029다음줄\u0085끝",
    "\u1680오검\u1680글자\u205f수식",
    "".join(f"{mark}{character}" for mark, character in zip("가나다라마바사아자차카타파하거너더러머버서어저처커", WHITE_SPACE)),
    # These look blank and are not White_Space.
    "제로\u200b폭\u200c글자\u200d이음\u2060끝\ufeff",
    "몽골\u180e구분\u2800점자",
    "한글 채움\u3164\u115f\u1160\uffa0",
]

CONTROL = [
    "\x1c",
    "분리\x1c문자\x1d는\x1e공백이\x1f아니다",
    "\x1c재미없다\x1f",
    " \x1d 가운데 \x1e ",
    "널\x00문자",
    "\x00",
    "\x00\x00\x00",
    "\x01\x02\x07\x08\x0e\x1b[31m붉은 글씨\x7f",
    "\u0080\u009f 제어",
]

HANGUL = [
    _nfd(_FILM),
    _nfd("최악의 영화, 돈이 아깝다. 뷁꿻"),
    "각" + "\u1100\u1161\u11a8",
    "ㅋㅋㅋㅋㅋㅋ ㅠㅠ ㅜㅜ ㅇㅇ ㄴㄴ ㅎㄷㄷ",
    "ㄱㅏㄴㅏㄷㅏ ㅏㅑㅓㅕ",
    "\u1112\u1161\u11ab\u1100\u1173\u11af\ua960\ud7b0",
    "옛말 나랏말ᄊᆞ미 듕귁에 달아",
    "반각 ﾡﾢﾣ ￡ ＡＢＣ ａｂｃ １２３",
    "가\u0300나\u0301 결합\u0308",
    "띄어쓰기도없이줄줄이이어쓴감상평이라읽기가힘들지만그래도재미있었다는말",
    "재 미 없 다 진 짜 로",
]

EMOJI = [
    "👍", "😀😂🤣😭", "재밌어요 ❤️👍🏽 최고 😍",
    "가족 👨‍👩‍👧‍👦 영화", "🏳️‍🌈🇰🇷🇯🇵 1️⃣0️⃣", "\U0001f9d1\U0001f3ff\u200d\U0001f680 우주", "☆★☆★ 10/10 ★★★★★",
    "\U0010ffff\U000e0001\U000f0000", "\ufffd\ufffe\uffff", "𝓖𝓸𝓸𝓭 𠮷野家 𐐀𐐨",
]

MIXED = [
    "Great movie!!! BUT 결말이 NONSENSE…", "FROM 007 to 王추천 さいこう の映画", "Это лучший ФИЛЬМ года", "أفضل فيلم שלום",
    "ΟΔΟΣ ΣΊΣΥΦΟΣ Σ", "İstanbul ISPARTA ıI", "STRASSE Straße ẞ ß", "ǅ Ǆ ǆ ﬁ ﬀ Ⅷ Ⓐ", "Å Å A\u030a Ω Ω", "q\u0307\u0323 và Việt Nam",
    "क्षत्रिय ไทยภาษา ខ្មែរ", "\u202e뒤집힌\u202c 글 \u2067x\u2069", "<b>볼만</b> &amp; &lt;3 &#39;", "\"따옴표\" '작은' \\ 백슬래시 {\"a\": 1}",
    "[CLS] 가짜 [SEP] [UNK] [PAD] [MASK] <s> </s>", "http://example.com/a?b=c#d @user #태그 a@b.co", "1", "a", "Z", ".", "?!", "..........",
    "0.1점도 아깝다 -1점 10점 만점에 9.5", "a,b;c\td", "null", "NaN", "\u00ad부드러운\u00ad하이픈", "ㅅㅂ,,,;;~~^^;;--+_+",
    "ᏣᎳᎩ ꭰꮃ Ა ა", "ﷺ ㍿ ㉿ ㏇",
]

LONG = [
    "재미있다 " * 200,
    "ㅋ" * 1_000,
    "최고의 영화 " + "!" * 5_000,
    "가" * 255, "가" * 256, "가" * 257,
    " " * 300 + "긴 공백 뒤의 재미없는 영화" + "\n" * 300,
    "나" * 255 + " " + "뒤",
    _nfd("늘어지는 영화. " * 60),
    "İ" * 200,
    "👨‍👩‍👧‍👦" * 120,
    "word" * 400,
    "지루하다. " * 1_150,
]

TRICKY: list[str] = [*EMPTY, *WHITE, *CONTROL, *HANGUL, *EMOJI, *MIXED, *LONG]


def golden_texts(reviews: Sequence[str], ordinary: int = 64) -> list[str]:
    """The tricky texts and a seeded sample of ordinary reviews, no text twice."""
    sample = random.Random(SEED).sample(list(reviews), ordinary)
    return list(dict.fromkeys([*TRICKY, *sample]))
