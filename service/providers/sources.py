"""All sources that a job collects from, as the settings name them."""

from dataclasses import dataclass

from service.providers.configured import fundamental_source, price_source, profile_source
from service.providers.outcomes import FundamentalSource, PriceSource, ProfileSource
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Sources:
    """A source of each kind; None where there is none, and nothing of the kind is fetched."""

    prices: PriceSource | None = None
    profiles: ProfileSource | None = None
    fundamentals: FundamentalSource | None = None


def configured_sources(settings: Settings) -> Sources:
    """Return the sources that the settings name; ``UsageError`` when they cannot be used so."""
    return Sources(price_source(settings), profile_source(settings), fundamental_source(settings))
