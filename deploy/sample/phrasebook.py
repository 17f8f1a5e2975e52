"""Names and sentences of each language, filled in once per seed, so that a row only picks and joins them."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import TypedDict, TypeVar, cast
from xml.sax.saxutils import escape

from deploy.sample.nasty import ZWJ

T = TypeVar("T")

EMOJI = ("😀", "👍", "👍🏽", "🙏", "❤️", "🎉", "😡", "💩", f"👨{ZWJ}👩{ZWJ}👧", f"🏳️{ZWJ}🌈", "🇩🇪", "1️⃣")

_VARIANTS = 24
"""The number of variants of each sentence."""


@dataclass(frozen=True, slots=True)
class Language:
    """The texts of one language; `marked_up` are the sentences escaped for XML and HTML, in the same order."""

    code: str
    given: list[str]
    family: list[str]
    cities: list[str]
    greetings: list[str]
    closings: list[str]
    sentences: list[str]
    marked_up: list[str]


class _Entry(TypedDict):
    code: str
    weight: int
    given: list[str]
    family: list[str]
    greetings: list[str]
    closings: list[str]
    sentences: list[str]


class _Phrases(TypedDict):
    products: list[str]
    cities: list[str]
    language: list[_Entry]


@lru_cache(maxsize=4)
def load_phrasebook(seed: int) -> tuple[Language, ...]:
    """Return the languages of a seed, each repeated according to its weight."""
    phrases = cast("_Phrases", tomllib.loads(Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8")))
    rng = Random(f"{seed}:phrases")
    weighted: list[Language] = []
    for entry in phrases["language"]:
        weighted += [_prepare(entry, phrases, rng)] * entry["weight"]
    return tuple(weighted)


def pick(rng: Random, choices: Sequence[T]) -> T:
    """Return one of the choices; unlike Random.choice, the same one in every Python version."""
    return choices[int(rng.random() * len(choices))]


def _prepare(entry: _Entry, phrases: _Phrases, rng: Random) -> Language:
    def fill(templates: list[str]) -> list[str]:
        return [
            template.format(
                order=f"{pick(rng, 'ABKW')}-{int(rng.random() * 9_000_000) + 1_000_000}",
                product=pick(rng, phrases["products"]),
                city=pick(rng, phrases["cities"]),
                name=f"{pick(rng, entry['given'])} {pick(rng, entry['family'])}",
                date=f"2026-{int(rng.random() * 12) + 1:02d}-{int(rng.random() * 28) + 1:02d}",
            )
            for template in templates
            for _ in range(_VARIANTS)
        ]

    sentences = fill(entry["sentences"])
    return Language(
        code=entry["code"],
        given=entry["given"],
        family=entry["family"],
        cities=phrases["cities"],
        greetings=fill(entry["greetings"]),
        closings=fill(entry["closings"]),
        sentences=sentences,
        marked_up=[escape(sentence) for sentence in sentences],
    )
