"""Texts that people enter and others read: without characters that hide what a text says, or reorder what is around."""

import unicodedata

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates (Unicode Standard Annex 9), which reorder the text around them."""
_LINE_BREAKS = frozenset("\r\n\t")
NAME_HELP = "from 1 to 200 characters, without line breaks, control characters and changes of direction"
"""What the name of a certificate or an API key must be."""
_REFUSED = {"Cc": "control characters", "Zl": "line separators", "Zp": "paragraph separators", "Cs": "surrogates"}


def find_text_fault(text: str, *, multiline: bool = False) -> str | None:
    """Return why a text is refused, if it is; tabs and line breaks are allowed in a `multiline` one only."""
    for each in text:
        if each in _BIDI_CONTROLS:
            return "characters that change the direction of text are not allowed"
        if (name := _REFUSED.get(unicodedata.category(each))) and not (multiline and each in _LINE_BREAKS):
            return f"{name} and line breaks are not allowed" if not multiline else f"{name} are not allowed"
    return None
