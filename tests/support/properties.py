"""How long property tests search for a counterexample."""

from hypothesis import settings


def many_examples(times: int) -> settings:
    """Return settings with `times` as many examples as the profile has, for properties of many interacting parts."""
    profile = settings.get_profile(settings.get_current_profile_name())
    return settings(max_examples=times * profile.max_examples)
