"""Names are compared by one function, which takes every spelling of a name to one key."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as some

from job_api.domain.names import fold_name


@given(some.text(some.characters(codec="utf-8")))
def test_U4_every_spelling_of_a_name_has_one_key(name: str) -> None:
    key = fold_name(name)
    assert fold_name(key) == key
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert fold_name(unicodedata.normalize(form, name)) == key


def test_U4_letters_that_databases_fold_differently_have_one_key() -> None:
    assert fold_name(" İda ") == fold_name("i\u0307da")
    assert fold_name("STRASSE") == fold_name("Straße")
    assert fold_name("Ａｃｍｅ") == "acme"
    assert fold_name("ana") != fold_name("anna")
