"""The slow, obvious answer for options, one at a time; never imports the code under test."""

import itertools
import math

from scipy.integrate import quad
from scipy.stats import norm


def price(spot, strike, years, is_call, volatility, rate, dividend_yield=0.0):
    if years <= 0:
        return max(spot - strike, 0.0) if is_call else max(strike - spot, 0.0)
    asset, cash = spot * math.exp(-dividend_yield * years), strike * math.exp(-rate * years)
    d1, d2 = _d(spot, strike, years, volatility, rate, dividend_yield)
    if is_call:
        return asset * norm.cdf(d1) - cash * norm.cdf(d2)
    return cash * norm.cdf(-d2) - asset * norm.cdf(-d1)


def integral(spot, strike, years, is_call, volatility, rate, dividend_yield=0.0):
    """Discounted mean of the payoff over the lognormal spot at expiration."""
    drift = (rate - dividend_yield - volatility**2 / 2) * years
    spread = volatility * math.sqrt(years)

    def worth(z):
        final = spot * math.exp(drift + spread * z)
        return price(final, strike, 0.0, is_call, 0.0, 0.0) * norm.pdf(z)

    kink = (math.log(strike / spot) - drift) / spread
    ends = sorted((-12.0, min(max(kink, -12.0), 12.0), 12.0))
    pieces = [quad(worth, *piece, epsabs=1e-13, epsrel=1e-12)[0] for piece in itertools.pairwise(ends)]
    return math.exp(-rate * years) * sum(pieces)


def greeks(spot, strike, years, is_call, volatility, rate, dividend_yield=0.0):
    """Hull's formulas, a call and a put apart."""
    asset, cash = spot * math.exp(-dividend_yield * years), strike * math.exp(-rate * years)
    d1, d2 = _d(spot, strike, years, volatility, rate, dividend_yield)
    decay = -asset * norm.pdf(d1) * volatility / (2 * math.sqrt(years))
    carried = math.exp(-dividend_yield * years)
    if is_call:
        delta = carried * norm.cdf(d1)
        theta = decay + dividend_yield * asset * norm.cdf(d1) - rate * cash * norm.cdf(d2)
        rho = years * cash * norm.cdf(d2)
    else:
        delta = carried * (norm.cdf(d1) - 1)
        theta = decay - dividend_yield * asset * norm.cdf(-d1) + rate * cash * norm.cdf(-d2)
        rho = -years * cash * norm.cdf(-d2)
    return {
        "delta": delta,
        "gamma": carried * norm.pdf(d1) / (spot * volatility * math.sqrt(years)),
        "vega": asset * norm.pdf(d1) * math.sqrt(years) / 100,
        "theta": theta / 365,
        "rho": rho / 100,
    }


def _d(spot, strike, years, volatility, rate, dividend_yield):
    spread = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (rate - dividend_yield + volatility**2 / 2) * years) / spread
    return d1, d1 - spread
