"""What every page owes its readers, checked in the page itself: names, contrast, focus, headings, room."""

from pathlib import Path

CHECKS = Path(__file__).with_name("accessibility.js").read_text()


def faults_of(page):
    """What is wrong with a page, as lines; none for a page that everybody can use."""
    return page.evaluate(CHECKS)


def focus_order(page, n):
    """Names of what has the focus after each of so many tabs, from the top of the page."""
    page.evaluate("document.activeElement?.blur()")
    order = []
    for _ in range(n):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate(
                "() => { const it = document.activeElement; const style = getComputedStyle(it);"
                " return [(it.labels?.[0]?.textContent || it.ariaLabel || it.textContent).trim(),"
                " style.outlineStyle !== 'none'] }"
            )
        )
    return order
