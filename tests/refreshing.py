"""Portfolios entered into a store of ten computed sessions, and their snapshots."""

from datetime import date
from decimal import Decimal

import polars as pl

from service.cli.progress import TerminalProgress
from service.csv_import.parsing import parse_positions
from service.jobs.portfolio_refresh import refresh_portfolios
from service.settings import Settings
from storage.portfolios import Portfolio

START, LAST = date(2024, 6, 14), date(2024, 6, 28)
LOTS = """Symbol,Quantity,Entry Price Per Share,Entry Date,Investment Class
SPY,100,100.00,2024-01-05,PUBLIC
BERAQ,-50,60.00,2024-02-05,PUBLIC
HARBOR_FUND,4,2500.00,2024-01-05,PRIVATE
CASH_USD,5000,1.00,2024-01-05,
NOSUCH,10,44.00,2024-01-05,PUBLIC
"""


def enter(store, name="Main", equity=50_000, start=START, csv=LOTS):
    lots = parse_positions(csv.encode(), "x.csv", today=date(2026, 1, 1))
    draft = Portfolio(name, name, starting_equity=Decimal(equity), starting_session=start)
    return store.ledger.portfolios.create("ann", draft, lots).portfolio_id


def refresh(store, **options):
    with TerminalProgress() as progress:
        return refresh_portfolios(store, Settings(), progress, **options)


def snapshots(store, portfolio_id):
    found = store.read("portfolio_snapshots").filter(pl.col("portfolio_id") == portfolio_id)
    return found.sort("session")


def closes(store, symbol):
    prices = store.read("prices", symbols=[symbol]).sort("session")
    return dict(prices.select("session", "close").iter_rows())
