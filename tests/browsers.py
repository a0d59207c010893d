"""A real browser for the tests of pages, and what they ask of every page. Imports playwright."""

import os
from contextlib import contextmanager
from pathlib import Path

from accessibility import faults_of
from playwright.sync_api import sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ARTIFACTS = Path(__file__).parent / "artifacts"
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 375, "height": 740}}


@contextmanager
def launched():
    """A browser of Debian's Chromium; ``OSError`` where there is none."""
    path = Path(os.environ.get("CHROMIUM", CHROMIUM))
    if not path.exists():
        raise OSError(f"{path} is not there; apt-get install chromium, or set CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visiting(browser, url, *, size="desk", scheme="light", **options):
    """A page of a new visitor; complaints of its security policy and its scripts fail the test."""
    context = browser.new_context(
        base_url=url, viewport=SIZES[size], color_scheme=scheme, reduced_motion="reduce", **options
    )
    context.set_default_timeout(10_000)
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if is_complaint(said) else None)
    try:
        yield page
        assert not complaints
    finally:
        context.close()


def is_complaint(said):
    """Whether a line of the console is about a policy or a script; not that a load failed."""
    return said.type == "error" and not said.text.startswith("Failed to load resource")


def keep_pictures(page, name):
    """Write screenshots of a page as it is, by scheme and size; its faults for readers."""
    ARTIFACTS.mkdir(exist_ok=True)
    faults = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for size, viewport in SIZES.items():
            page.set_viewport_size(viewport)
            page.evaluate("Promise.all([...document.images].map(image => image.decode()))")
            page.screenshot(path=ARTIFACTS / f"{name}-{scheme}-{size}.png", full_page=True)
            faults += [f"{scheme}, {size}: {fault}" for fault in faults_of(page)]
    return faults
