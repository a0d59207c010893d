"""A past window of sessions applied to today's holdings; imports numpy alone."""

from dataclasses import dataclass

import numpy as np

from engine.composition import Holdings
from engine.risk import TO_MODEL
from engine.typing import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Replay:
    """What a window of the past would have done to positions that are held through it.

    Attributes
    ----------
    pnl : FloatArray
        ``(n_sessions,)`` cumulative P&L of the book, in currency.
    by_symbol : FloatArray
        ``(n,)`` P&L of each holding over the whole window, with the options on it; NaN for one that has
        neither returns nor loadings.
    modeled : FloatArray
        ``(n,)`` share of the window's sessions on which the risk model stood in for a missing return.
    coverage : float
        Share of Σ|E| that takes part.
    """

    pnl: FloatArray
    by_symbol: FloatArray
    modeled: FloatArray
    coverage: float


def replay(holdings: Holdings, returns: FloatArray, loadings: FloatArray, proxies: FloatArray) -> Replay:
    """Compound each holding through a window: its own returns where they exist, else the risk model's.

    Options are revalued in full at every session, with today's volatility and time to expiration: the window
    is what might happen to the book as it stands.

    Parameters
    ----------
    holdings : Holdings
        ``(n,)`` economic values today, and the options whose deltas are among them.
    returns : FloatArray
        ``(n, n_sessions)`` simple returns of the window, NaN where missing.
    loadings : FloatArray
        ``(n, 8)`` today's loadings on the model factors, NaN for none.
    proxies : FloatArray
        ``(8, n_sessions)`` the proxies' returns in the window, in the order of ``PROXIES``.
    """
    known: BoolArray = np.isfinite(returns)
    modeled = loadings @ (TO_MODEL @ proxies)
    used = np.where(known, returns, modeled)
    there: BoolArray = np.asarray(np.isfinite(used).all(axis=1))
    moves = np.where(there[:, None], np.cumprod(1.0 + used, axis=1) - 1.0, 0.0)
    earned = holdings.values[:, None] * moves
    if holdings.options is not None:
        options, place = holdings.options, np.searchsorted(holdings.rows, holdings.options.rows)
        by_delta = options.delta_value[:, None] * moves[place]
        np.add.at(earned, place, options.pnl(moves[place].T).T - by_delta)
    size = np.abs(holdings.values)
    total = float(size.sum())
    return Replay(
        pnl=earned.sum(axis=0),
        by_symbol=np.where(there, earned[:, -1], np.nan),
        modeled=1.0 - known.mean(axis=1),
        coverage=float(size[there].sum()) / total if total > 0 else np.nan,
    )
