"""European options by Black, Scholes and Merton: values, greeks, implied volatility; numpy and scipy.

All functions broadcast their arguments. NaN in any of them gives NaN, and so do a negative spot or volatility
and a strike that is not positive. Rates and yields are continuous, a year; volatilities are decimals a year.
At expiration and after it a contract is worth what exercising it pays. Listed options on single stocks may be
exercised early; what that right is worth is not in these numbers.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import elementwise
from scipy.special import log_ndtr, ndtr

from engine.typing import BoolArray, FloatArray

CALENDAR_DAYS = 365.0
MAX_DEVIATION = 80.0  # σ√T from where on a double knows no dearer option


@dataclass(frozen=True, slots=True)
class Contracts:
    """Terms of options, ``(n,)`` each: strike in currency, years to expiration, whether it is a call."""

    strike: FloatArray
    years: FloatArray
    is_call: BoolArray


@dataclass(frozen=True, slots=True)
class OptionValues:
    """Price and greeks of one share of each contract, in currency.

    ``delta`` and ``gamma`` per unit of spot, ``vega`` per volatility point (0.01), ``theta`` per calendar
    day, ``rho`` per 1 % of the rate. At expiration delta is 0 or ±1 (0 at the strike), the others 0.
    """

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray


@dataclass(frozen=True, slots=True)
class _Parts:
    """Terms of the formula: ``asset`` = S·e^(−qT), ``cash`` = K·e^(−rT), ``deviation`` = σ√T."""

    sign: FloatArray
    years: FloatArray
    asset: FloatArray
    cash: FloatArray
    deviation: FloatArray
    d1: FloatArray
    d2: FloatArray


def option_prices(
    contracts: Contracts,
    spot: FloatArray,
    volatility: FloatArray,
    *,
    rate: float,
    dividend_yield: FloatArray | float = 0.0,
) -> FloatArray:
    """Return the price of one share of each contract (Merton 1973)."""
    return _prices(_parts(contracts, spot, volatility, rate, dividend_yield))


def option_values(
    contracts: Contracts,
    spot: FloatArray,
    volatility: FloatArray,
    *,
    rate: float,
    dividend_yield: FloatArray | float = 0.0,
) -> OptionValues:
    """Return price and greeks of one share of each contract."""
    parts = _parts(contracts, spot, volatility, rate, dividend_yield)
    asset_share, cash_share = ndtr(parts.sign * parts.d1), ndtr(parts.sign * parts.d2)
    yielded = np.exp(-np.multiply(dividend_yield, parts.years))
    carry = dividend_yield * parts.asset * asset_share - rate * parts.cash * cash_share
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        density = np.exp(-0.5 * parts.d1**2) / np.sqrt(2 * np.pi)
        # Where the density is 0 nothing decays or bends, whatever it would be divided by.
        gamma = np.where(density == 0, density, yielded * density / (spot * parts.deviation))
        decay = np.where(density == 0, density, parts.asset * density * parts.deviation / (2 * parts.years))
    theta = np.where(parts.years == 0, 0.0 * carry, parts.sign * carry - decay)
    return OptionValues(
        price=_prices(parts),
        delta=parts.sign * yielded * asset_share,
        gamma=gamma,
        vega=parts.asset * density * np.sqrt(parts.years) / 100,
        theta=theta / CALENDAR_DAYS,
        rho=parts.sign * parts.cash * parts.years * cash_share / 100,
    )


def implied_volatility(
    contracts: Contracts,
    spot: FloatArray,
    price: FloatArray,
    *,
    rate: float,
    dividend_yield: FloatArray | float = 0.0,
) -> FloatArray:
    """Return the volatility at which the model's price is the one given.

    NaN unless the price lies between its no-arbitrage bounds: above what exercise at expiration is worth
    today (a price at that bound fits every small volatility), below that of the share, for a call, or the
    discounted strike, for a put. NaN at expiration. Solved for what the price exceeds the lower bound by,
    which is the price of the opposite option out of the money.
    """
    given = (spot, price, contracts.strike, contracts.years, contracts.is_call, rate, dividend_yield)
    spot, price, strike, years, is_call, rates, yields = np.broadcast_arrays(*given)
    with np.errstate(all="ignore"):
        asset, cash = spot * np.exp(-yields * years), strike * np.exp(-rates * years)
        lower = np.maximum(np.where(is_call, asset - cash, cash - asset), 0.0)
        small = np.minimum(asset, cash)
        share, distance = (price - lower) / small, np.log(small / np.maximum(asset, cash))
        solvable = (years > 0) & (small > 0) & (share > 0) & (share < 1) & np.isfinite(distance)
        bracket = (np.finfo(float).tiny, MAX_DEVIATION)
        found = elementwise.find_root(_excess, bracket, args=(distance[solvable], share[solvable]))
        volatility = np.full(price.shape, np.nan)
        volatility[solvable] = np.where(found.success, found.x, np.nan) / np.sqrt(years[solvable])
    return volatility


def _parts(
    contracts: Contracts,
    spot: FloatArray,
    volatility: FloatArray,
    rate: float,
    dividend_yield: FloatArray | float,
) -> _Parts:
    strike, years = contracts.strike, np.maximum(contracts.years, 0.0)
    sign = np.where(contracts.is_call, 1.0, -1.0)
    valid = np.greater_equal(spot, 0) & np.greater(strike, 0) & np.greater_equal(volatility, 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        deviation = np.where(valid, volatility * np.sqrt(years), np.nan)
        forward = np.log(np.divide(spot, strike)) + (rate - np.asarray(dividend_yield)) * years
        # At the money and certain, the option is worth nothing and never will be: as far out of the money.
        distance = np.where((deviation == 0) & (forward == 0), -sign * np.inf, forward / deviation)
    return _Parts(
        sign=sign,
        years=years,
        asset=spot * np.exp(-np.multiply(dividend_yield, years)),
        cash=strike * np.exp(-rate * years),
        deviation=deviation,
        d1=distance + deviation / 2,
        d2=distance - deviation / 2,
    )


def _prices(parts: _Parts) -> FloatArray:
    asset_share, cash_share = ndtr(parts.sign * parts.d1), ndtr(parts.sign * parts.d2)
    worth: FloatArray = parts.sign * (parts.asset * asset_share - parts.cash * cash_share)
    return np.maximum(worth, 0.0)  # far out of the money the difference may round below 0


def _excess(deviation: FloatArray, distance: FloatArray, share: FloatArray) -> FloatArray:
    """Price out of the money over the smaller of share and discounted strike, less the ``share`` asked."""
    middle, half = distance / deviation, deviation / 2
    price: FloatArray = ndtr(middle + half) - np.exp(log_ndtr(middle - half) - distance)
    return price - share
