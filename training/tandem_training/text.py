"""Text normalisation shared by the fast model and by every comparison of two texts.

White space is Unicode's White_Space property, which differs from Python's
`str.isspace` (that one also holds U+001C to U+001F): the server uses the property too.
"""

import re
import unicodedata

WHITE_SPACE = (
    "\u0009\u000a\u000b\u000c\u000d\u0020\u0085\u00a0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_RUN = re.compile(f"[{WHITE_SPACE}]+")


def lower_each(text: str) -> str:
    """Lower-cases every code point on its own, so that no context rule (final sigma) applies."""
    # An ASCII or Korean text, the common case, has no such rule: take the fast way.
    if "\u03a3" not in text:
        return text.lower()
    return "".join(character.lower() for character in text)


def fold(text: str) -> str:
    """NFC, lower case, runs of white space to one space, trimmed."""
    return _RUN.sub(" ", lower_each(unicodedata.normalize("NFC", text))).strip(" ")
