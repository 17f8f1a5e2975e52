"""Using a page with the keyboard alone."""

import pytest
from playwright.async_api import Locator, Page

MAX_STEPS = 80


async def tab_to(page: Page, control: Locator, *, backwards: bool = False) -> None:
    """Press Tab until a control has the focus."""
    for _ in range(MAX_STEPS):
        await page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if await control.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"the Tab key does not lead to {control}")


async def tab_to_name(page: Page, name: str, *, backwards: bool = False) -> None:
    """Press Tab until the focused element's name begins with `name`, and require that its focus is visible."""
    for _ in range(MAX_STEPS):
        await page.keyboard.press("Shift+Tab" if backwards else "Tab")
        focused, outline = await page.evaluate(
            "() => { const element = document.activeElement; const style = getComputedStyle(element);"
            " return [(element.ariaLabel ?? element.textContent ?? '').trim(), style.outlineStyle] }"
        )
        if focused.startswith(name):
            assert outline != "none", f"{name} does not show that it has the focus"
            return
    pytest.fail(f"the Tab key does not lead to {name}")
