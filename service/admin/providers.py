"""How the configured providers stand: what may still be asked, and who is left alone after outages."""

from typing import Literal

import msgspec

from service.run_status import seconds_between
from service.settings import Settings
from storage.ledger import Ledger
from storage.providers import ProviderNote

Circuit = Literal["none", "closed", "open"]
LOCAL = ("files", "simulated")


class Quota(msgspec.Struct):
    """What is left of a rate window that began to slide when it was last noted."""

    rate: str
    limit: int
    left: int


class ProviderStatus(msgspec.Struct):
    """A provider; one that is not asked over the network has neither quota nor circuit.

    ``quotas`` are empty until a job has asked it. ``noted_at`` is when a job said so last.
    """

    name: str
    uses: list[str]
    circuit: Circuit
    outages: int
    left_alone_until: str | None
    quotas: list[Quota]
    noted_at: str | None


def provider_status(ledger: Ledger, settings: Settings) -> list[ProviderStatus]:
    """Describe the providers that the settings name, in their order."""
    notes = ledger.providers.all()
    uses: dict[str, list[str]] = {name: ["prices"] for name in settings.providers}
    for name, use in (
        (settings.profile_provider, "profiles"),
        (settings.fundamental_provider, "fundamentals"),
    ):
        if name is not None:
            uses.setdefault(name, []).append(use)
    return [_status(name, of, notes.get(name)) for name, of in uses.items()]


def _status(name: str, uses: list[str], note: ProviderNote | None) -> ProviderStatus:
    if name in LOCAL or note is None:
        return ProviderStatus(name, uses, "none" if name in LOCAL else "closed", 0, None, [], None)
    age = seconds_between(note.noted_at, None)
    is_open = note.left_alone_until is not None and seconds_between(note.left_alone_until, None) < 0
    return ProviderStatus(
        name,
        uses,
        "open" if is_open else "closed",
        note.outages,
        note.left_alone_until if is_open else None,
        [_quota(window, age) for window in note.windows],
        note.noted_at,
    )


def _quota(window: dict[str, object], age: float) -> Quota:
    """Return what is left; all of it once the window has slid past everything that was noted."""
    rate, limit, used = str(window["rate"]), int(str(window["limit"])), int(str(window["used"]))
    has_passed = age >= float(str(window["seconds"]))
    return Quota(rate, limit, limit if has_passed else max(0, limit - used))
