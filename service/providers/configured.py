"""The sources that the settings name."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from service import clock
from service.errors import UsageError
from service.providers.chain import Chain
from service.providers.files import FilesSource
from service.providers.outcomes import FundamentalSource, PriceSource, ProfileSource
from service.providers.simulated import SimulatedMarket, simulate
from service.providers.simulated_source import SimulatedSource
from service.settings import Settings


def price_source(settings: Settings) -> PriceSource | None:
    """Return the configured sources of prices as one; None when none of them has anything to fetch.

    Raises
    ------
    UsageError
        Simulated prices would be mixed with others, or a source lacks its key.
    """
    if "simulated" in settings.providers and len(settings.providers) > 1:
        raise UsageError("providers: simulated prices never stand beside others; name simulated alone")
    if not settings.prices_path and settings.providers in ((), ("files",)):
        return None
    sources = [PRICES[name](settings) for name in dict.fromkeys(settings.providers)]
    return sources[0] if len(sources) == 1 else Chain(sources)


def profile_source(settings: Settings) -> ProfileSource | None:
    """Return the configured source of company profiles, if any."""
    if settings.profile_provider is None:
        return None
    return PROFILES[settings.profile_provider](settings)


def fundamental_source(settings: Settings) -> FundamentalSource | None:  # noqa: ARG001
    """Return the configured source of financial statements, if any."""
    return None


def _files(settings: Settings) -> FilesSource:
    if settings.prices_path is None:
        raise UsageError("providers: files has nothing to read; give prices_path or leave files out")
    return FilesSource(Path(settings.prices_path))


def _simulated(settings: Settings) -> SimulatedSource:
    return SimulatedSource(_market(settings), clock.last_closed_session(settings))


@lru_cache(maxsize=1)
def _market(settings: Settings) -> SimulatedMarket:
    sessions = clock.sessions_between(settings.simulated_from, settings.simulated_to)
    return simulate(sessions, n_symbols=settings.simulated_symbols, seed=settings.simulated_seed)


PRICES: Mapping[str, Callable[[Settings], PriceSource]] = {"files": _files, "simulated": _simulated}
PROFILES: Mapping[str, Callable[[Settings], ProfileSource]] = {"simulated": _simulated}
