"""Names of tenants and users: compared without regard to case and form of writing, by this function and nothing else.

PostgreSQL's `lower` and Python's differ for some letters, such as the dotted capital I, so that what one takes for two
names is one for the other. Both the unique indexes and the search at login therefore use the key that is stored.
"""

import unicodedata

MAX_KEY = 600
"""The longest key in characters, which fits into an index whatever its letters; names that expand more are refused."""


def fold_name(name: str) -> str:
    """Return the key by which a name is compared: without surrounding spaces, in NFKC, case-folded (Unicode 3.13)."""
    folded = unicodedata.normalize("NFKC", name.strip()).casefold()
    # Folding can leave letters in another form of writing than NFKC.
    return unicodedata.normalize("NFKC", folded).strip()
