"""Ids like 00047a6T9P2K0001: unique, the same for the same seed, and not ordered by time."""

from string import ascii_lowercase, ascii_uppercase, digits

_BITS = 46
_MASK = (1 << _BITS) - 1
_BASE62 = digits + ascii_uppercase + ascii_lowercase
_PAIRS = [a + b for a in _BASE62 for b in _BASE62]


class Identifiers:
    """Generates the ids of one kind of record; different prefixes never collide."""

    def __init__(self, prefix: str, seed: int) -> None:
        self._prefix = prefix
        self._shift = seed * 0x2545F4914F6CDD1D & _MASK

    def derive(self, index: int) -> str:
        """Return the id of the record with this index, below 2**46."""
        # Each step is a bijection on 46 bits (xor, odd factor, xor of the high half), so every index has its own id.
        x = (index ^ self._shift) * 0x1F123BB5A2D5 & _MASK
        x ^= x >> 23
        x = x * 0x2C1B3C6D95A7 & _MASK
        x ^= x >> 23
        x, d = divmod(x, 3844)
        x, c = divmod(x, 3844)
        a, b = divmod(x, 3844)
        return f"{self._prefix}{_PAIRS[a]}{_PAIRS[b]}{_PAIRS[c]}{_PAIRS[d]}{index % 9999 + 1:04d}"
