"""Books of option lots for tests, and what one lot is worth by the slow answer."""

import naive_options
import naive_series
import numpy as np

from engine.option_lots import OptionTerms
from engine.valuation import Positions

NAN, NAT = float("nan"), np.datetime64("NaT")


def shares(symbol, quantity, kind="public", entry=10.0):
    return symbol, quantity, entry, kind, "", NAN, NAT, False


def option(underlying, quantity, strike, expiration, is_call):
    name = f"{underlying}-{'C' if is_call else 'P'}-{strike:.6g}-{expiration}"
    return name, quantity, 1.5, "option", underlying, strike, expiration, is_call


def lots(*rows):
    symbols, quantity, entry, kinds, underlying, strike, expiration, is_call = zip(*rows, strict=True)
    return Positions(
        symbols,
        np.array(quantity, float),
        np.array(entry, float),
        kinds,
        np.full(len(rows), NAN),
        OptionTerms(
            underlying,
            np.array(strike, float),
            np.array(expiration, dtype="datetime64[D]"),
            np.array(is_call, bool),
            np.zeros(len(rows), bool),
        ),
    )


def spot_of(book, symbol):
    return float(book.close[book.index[symbol]])


def later(book, days):
    return book.as_of.astype("datetime64[D]") + days


def forecastable(book):
    return [
        symbol
        for row, symbol in enumerate(book.symbols)
        if book.close_age[row] <= 5
        and not np.isnan(naive_series.har_forecast(book.returns[row], book.returns.shape[1] - 1)[1])
    ]


def naive_lot(book, positions, lot):
    """Price, delta and what they were made of, for one lot."""
    terms = positions.options
    row = book.index[terms.underlying[lot]]
    days = int((terms.expiration[lot] - book.as_of.astype("datetime64[D]")).astype(int))
    volatility = naive_series.har_forecast(book.returns[row], book.returns.shape[1] - 1)[1]
    spot, strike, is_call = float(book.close[row]), float(terms.strike[lot]), bool(terms.is_call[lot])
    dividend_yield = float(book.dividend_yields[row])
    known = 0.0 if np.isnan(dividend_yield) else dividend_yield
    case = (strike, days / 365, is_call, volatility, 0.04, known)
    if days > 0:
        delta = naive_options.greeks(spot, *case)["delta"]
    else:
        delta = float(spot > strike) if is_call else -float(spot < strike)
    return row, spot, case, naive_options.price(spot, *case), delta


def ruined(case):
    strike, years, is_call, _, rate, _ = case
    return 0.0 if is_call else strike * np.exp(-rate * max(years, 0.0))
