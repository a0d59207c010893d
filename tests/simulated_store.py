"""A small simulated market that a store is filled from as far as a day, and jobs fetch on from there."""

from datetime import date

import polars as pl

from engine.factors import PROXIES
from service import clock
from service.ingest import ingest_prices, ingest_table
from service.providers.configured import price_source, profile_source
from service.providers.outcomes import Fetched
from service.providers.simulated import simulate
from service.settings import Settings
from storage.store import open_store

MARKET = {
    "providers": "simulated",
    "profile_provider": "simulated",
    "simulated_symbols": "6",
    "simulated_from": "2022-01-03",
    "simulated_to": "2024-12-31",
}
FIRST, LAST, END = date(2022, 1, 3), date(2024, 6, 28), date(2024, 12, 31)


def environment(**changes):
    """The market as a process's environment."""
    return {f"RIDGELINE_{name.upper()}": text for name, text in (MARKET | changes).items()}


def settings(**changes):
    return Settings(
        providers=("simulated",),
        profile_provider="simulated",
        simulated_symbols=6,
        simulated_from=FIRST,
        simulated_to=END,
        **changes,
    )


def fill(path, until=LAST):
    """Make a store of everything up to a session, and return the symbols in it; nothing is computed."""
    known = settings(ny_time=f"{until}T18:00")
    names = simulate(clock.sessions_between(FIRST, END), n_symbols=6).symbols
    fetched = price_source(known).fetch(dict.fromkeys({*names, *PROXIES.values()}, (FIRST, until)))
    prices = [outcome.prices for _, outcome in fetched if isinstance(outcome, Fetched)]
    profiles = [rows for _, rows in profile_source(known).fetch_profiles(names)]
    with open_store(path) as store:
        ingest_table(store, "profiles", pl.concat(profiles), ["symbol", "as_of"])
        ingest_prices(store, pl.concat(prices))
        return sorted(store.ledger.symbols.ids())


def sessions_after(session, count):
    """The exchange sessions after a day."""
    return [day.item() for day in clock.sessions_between(session, date(session.year, 12, 31))[1 : count + 1]]
