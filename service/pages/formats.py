"""Numbers and words as people read them; what does not exist says so. Imports no library."""

from collections.abc import Callable
from typing import Any

from service.onboarding_log import duration_text

MISSING = "n/a"
STEPS = ((1e12, "T"), (1e9, "B"), (1e6, "M"))


def money(value: float | None, decimals: int = 0) -> str:
    """Return an amount with its thousands apart."""
    return MISSING if value is None else _signed(f"{value:,.{decimals}f}")


def short_money(value: float | None) -> str:
    """Return an amount to three digits: 1.25M."""
    if value is None:
        return MISSING
    for size, letter in STEPS:
        if abs(value) >= size:
            return _signed(f"{value / size:.2f}{letter}")
    return money(value)


def gain(value: float | None) -> str:
    """Return an amount with its sign."""
    return MISSING if value is None else _signed(f"{value:+,.0f}")


def percent(value: float | None, decimals: int = 1) -> str:
    """Return a decimal as a percentage."""
    return MISSING if value is None else _signed(f"{100 * value:.{decimals}f}%")


def points(value: float | None) -> str:
    """Return what is a percentage already."""
    return percent(None if value is None else value / 100)


def change(text: str) -> str:
    """Return a number that is written already with its sign."""
    return text if text.startswith("−") or not any(each in "123456789" for each in text) else f"+{text}"


def number(value: float | None, decimals: int = 2) -> str:
    """Return a number with so many decimals."""
    return MISSING if value is None else _signed(f"{value:,.{decimals}f}")


def quantity(value: float | None) -> str:
    """Return a quantity with the decimals that it has."""
    return MISSING if value is None else _signed(f"{value:,.6f}".rstrip("0").rstrip("."))


def words(code: str) -> str:
    """Return a code as words."""
    return code.replace("_", " ")


def sentence(text: str) -> str:
    """Return what an error says as a sentence."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def moment(timestamp: str | None) -> str:
    """Return a timestamp to the second, UTC."""
    return MISSING if timestamp is None else timestamp[:19].replace("T", " ")


def seconds(value: float) -> str:
    """Return a short duration: 0.42 s, 7.3 s, 14m 32s."""
    if value >= 60:
        return duration_text(round(value))
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"


def _signed(text: str) -> str:
    """Write a real minus, and no sign before a zero."""
    if not any(each in "123456789" for each in text):
        text = text.lstrip("+-")
    return text.replace("-", "−")


FILTERS: dict[str, Callable[..., Any]] = {
    "money": money,
    "short_money": short_money,
    "gain": gain,
    "percent": percent,
    "points": points,
    "number": number,
    "quantity": quantity,
    "words": words,
    "sentence": sentence,
    "moment": moment,
    "seconds": seconds,
    "duration": duration_text,
}
