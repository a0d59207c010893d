"""The demo that stays: the simulated market and its sample portfolio, to be looked at in a browser."""

from service import clock
from service.api.auth import LOCAL_OWNER
from service.demo import EQUITY, LAST_SESSION, N_SESSIONS, N_SYMBOLS, SAMPLE, ingest_market
from service.jobs.portfolio_refresh import refresh_portfolios
from service.jobs.progress import Progress
from service.jobs.symbol_batch import run_symbol_batch
from service.jobs.symbol_onboarding import process_symbols
from service.jobs.tracker import Trigger
from service.live_book import LiveBook
from service.onboarding import Form, create_portfolio
from service.providers.simulated import simulate
from service.providers.simulated_source import SimulatedSource
from service.providers.sources import Sources
from service.settings import Settings
from storage import confinement
from storage.store import Store

ACCOUNT = "Demo"
TRIGGER = Trigger("demo")


def demo_settings(port: int) -> Settings:
    """Return the settings of the demo: on loopback, on the evening of its market's last session."""
    return Settings(port=port, ny_time=f"{LAST_SESSION}T22:00", sql_page=confinement.is_available())


def prepare(store: Store, settings: Settings, progress: Progress) -> None:
    """Simulate and compute the market, and store the sample portfolio; what is there already stays.

    The symbol of the sample that nobody knows is asked for once, so that its set-up ends with warnings.
    """
    if store.ledger.portfolios.is_taken(LOCAL_OWNER, ACCOUNT):
        return
    market = simulate(clock.sessions_until(LAST_SESSION, N_SESSIONS), n_symbols=N_SYMBOLS)
    ingest_market(store, market)
    run_symbol_batch(store, settings, progress, trigger=TRIGGER)
    live = LiveBook(store, settings.option_rate)
    live.refresh()
    form = Form(
        portfolio_name="Sample",
        account_name=ACCOUNT,
        account_type="taxable",
        equity_balance=f"{EQUITY:.2f}",
        csv=SAMPLE.read_bytes(),
        filename=SAMPLE.name,
    )
    create_portfolio(store.ledger, settings, live.market, owner=LOCAL_OWNER, form=form)
    sources = Sources(prices=SimulatedSource(market, LAST_SESSION))
    process_symbols(store, settings, progress, sources, trigger=TRIGGER)
    refresh_portfolios(store, settings, progress, trigger=TRIGGER)
