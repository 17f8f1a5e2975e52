"""Going through a page with the keyboard alone."""

import pytest
from playwright.async_api import Locator, Page

STEPS_MOST = 80


async def reach(page: Page, wanted: Locator, *, back: bool = False) -> None:
    """Go to a control with the Tab key, forward or back."""
    for _ in range(STEPS_MOST):
        await page.keyboard.press("Shift+Tab" if back else "Tab")
        if await wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"the Tab key does not lead to {wanted}")
