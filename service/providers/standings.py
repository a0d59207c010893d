"""How the providers stand that this process asks: what is left of their windows, who is left alone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol
from weakref import WeakSet


@dataclass(frozen=True, slots=True)
class Window:
    """A rate window: as it is written (``50/h``), what it allows in how many seconds, and what was used."""

    rate: str
    limit: int
    seconds: float
    used: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A provider: its windows, outages in a row, and seconds until it is asked again (0 for now)."""

    name: str
    windows: tuple[Window, ...]
    outages: int
    left_alone: float


class Asked(Protocol):
    """Somebody who asks a provider, and counts."""

    def standing(self) -> Standing:
        """Return how the provider stands."""


_known: WeakSet[Asked] = WeakSet()


def know(asked: Asked) -> None:
    """Count somebody in for as long as they live."""
    _known.add(asked)


def standings() -> list[Standing]:
    """Return every provider that this process has asked; one that is asked for several things once."""
    found: dict[str, Standing] = {}
    for each in [asked.standing() for asked in list(_known)]:
        found[each.name] = _together(found[each.name], each) if each.name in found else each
    return [found[name] for name in sorted(found)]


def _together(one: Standing, other: Standing) -> Standing:
    return Standing(
        one.name,
        tuple(_sums(one.windows, other.windows)),
        max(one.outages, other.outages),
        max(one.left_alone, other.left_alone),
    )


def _sums(some: Iterable[Window], others: Iterable[Window]) -> Iterable[Window]:
    more = {window.rate: window.used for window in others}
    return (replace(window, used=window.used + more.get(window.rate, 0)) for window in some)
