"""Contacts: the customers in the interactions."""

from json import dumps
from random import Random

from deploy.sample.model import Contact, Micros
from deploy.sample.phrasebook import Language, pick

_DAY: Micros = 86_400_000_000
_DOMAINS = ("example.com", "example.org", "mail.example.net", "bücher.example")


def make_contact(
    rng: Random, languages: tuple[Language, ...], *, key: str, tenant: int, created: Micros, until: Micros
) -> Contact:
    """Return a contact created at `created` and last changed before `until`, both in microseconds."""
    language = pick(rng, languages)
    account = int(rng.random() * 90_000_000) + 10_000_000
    odd = rng.random()
    if odd < 0.01:
        # Every optional column is NULL.
        return Contact(key, tenant, created, created, None, None, None, None, None, None)
    if odd < 0.02:
        return Contact(key, tenant, created, created, "", "", 9_223_372_036_854_775_807, (), (), "{}")
    given, family = pick(rng, language.given), pick(rng, language.family)
    mails = tuple(
        f"{pick(rng, ('info', 'me', 'büro', family.lower()))}{n}@{pick(rng, _DOMAINS)}"
        for n in range(int(rng.random() * 4))
    )
    phones = tuple(
        f"+{30 + int(rng.random() * 60)}{int(rng.random() * 1e9):09d}" for _ in range(1 + int(rng.random() * 3))
    )
    profile = {
        "language": language.code,
        "vip": rng.random() < 0.05,
        "address": {"city": pick(rng, language.cities), "lines": [f"{family} 12", None]},
        "balance": round(rng.random() * 1000, 2),
        "notes": pick(rng, language.sentences),
    }
    return Contact(
        key,
        tenant,
        created,
        created + int(rng.random() * (until - created)),
        given,
        family,
        account if rng.random() < 0.8 else None,
        mails,
        phones,
        # Sometimes on several lines: the suite stores JSON verbatim, and the view must not pass the line breaks on.
        dumps(profile, ensure_ascii=False, indent=2 if odd < 0.5 else None),
    )
