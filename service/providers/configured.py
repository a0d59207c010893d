"""The sources that the settings name."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from service import clock
from service.errors import UsageError
from service.providers import eodhd, fmp, massive, tiingo, yahoo
from service.providers.chain import Chain
from service.providers.files import FilesSource
from service.providers.outcomes import FundamentalSource, PriceSource, ProfileSource
from service.providers.remote import Access, Patience, Remote
from service.providers.simulated import SimulatedMarket, simulate
from service.providers.simulated_source import SimulatedSource
from service.settings import Provider, ProviderSettings, Settings


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


def fundamental_source(settings: Settings) -> FundamentalSource | None:
    """Return the configured source of financial statements, if any."""
    return None if settings.fundamental_provider is None else _fmp(settings)


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


def _tiingo(settings: Settings) -> tiingo.Tiingo:
    return tiingo.Tiingo(_remote(tiingo.NAME, tiingo.access(_key(settings, "tiingo")), settings))


def _eodhd(settings: Settings) -> eodhd.Eodhd:
    return eodhd.Eodhd(_remote(eodhd.NAME, eodhd.access(_key(settings, "eodhd")), settings))


def _fmp(settings: Settings) -> fmp.Fmp:
    remote = _remote(fmp.NAME, fmp.access(_key(settings, "fmp")), settings)
    return fmp.Fmp(remote, clock.now(settings).date())


def _massive(settings: Settings) -> massive.Massive:
    return massive.Massive(_remote(massive.NAME, massive.access(_key(settings, "massive")), settings))


def _yahoo(settings: Settings) -> yahoo.Yahoo:
    return yahoo.Yahoo(_remote(yahoo.NAME, yahoo.access(), settings))


def _key(settings: Settings, name: str) -> str:
    key: str | None = getattr(settings, name).key
    if not key:
        raise UsageError(
            f"{name} needs a key: give it in RIDGELINE_{name.upper()}_KEY, or as key under [{name}]"
        )
    return key


def _remote(name: str, access: Access, settings: Settings) -> Remote:
    """Return a provider's connection, with what the settings say otherwise of it."""
    given: ProviderSettings = getattr(settings, name)
    access = replace(access, url=given.url or access.url, rates=given.rates or access.rates)
    patience = Patience(
        seconds=settings.provider_seconds,
        request_seconds=settings.provider_request_seconds,
        concurrency=settings.provider_concurrency,
    )
    return Remote(name, access, patience)


PRICES: Mapping[Provider, Callable[[Settings], PriceSource]] = {
    "files": _files,
    "simulated": _simulated,
    "tiingo": _tiingo,
    "eodhd": _eodhd,
    "fmp": _fmp,
    "massive": _massive,
    "yahoo": _yahoo,
}
PROFILES: Mapping[str, Callable[[Settings], ProfileSource]] = {"simulated": _simulated, "fmp": _fmp}
