"""Where engine and storage meet: the engine's frames are what the lake's tables ask for."""

import numpy as np
import polars as pl
import pytest
from markets import make_market

from engine.factor_frames import factor_frame, provider_frame
from engine.metrics import symbol_metrics
from engine.panel import build_panel
from engine.regression import fit_factors
from engine.risk import covariance_frame, fit_risk_model, loadings_frame
from storage.schemas import conform, table_named


@pytest.fixture(scope="module")
def frames():
    market = make_market(7, n_symbols=12, gaps=0.02)
    panel = build_panel(market.frame(), market.sessions)
    last = len(panel.sessions) - 1
    model = fit_risk_model(panel, ["Tech"] * len(panel.symbols), at=last)
    provided = provider_frame(panel.symbols[:2], np.array([1.1, 7.0]), panel.sessions[[last, last]])
    profiles = pl.DataFrame({"symbol": ["SPY"], "sector": ["ETF"]})
    fit = fit_factors(panel, first=last - 2, last=last)
    return {
        "symbol_factors": pl.concat([factor_frame(panel, fit, first=last - 2), provided]),
        "risk_loadings": loadings_frame(panel, model),
        "factor_covariance": covariance_frame(model),
        "symbol_metrics": symbol_metrics(panel, profiles, at=last),
    }


@pytest.mark.parametrize("table", ["symbol_factors", "risk_loadings", "factor_covariance", "symbol_metrics"])
def test_a_frame_keeps_its_tables_contract(frames, table):
    frame = frames[table]
    stored = conform(table_named(table), frame)
    assert stored.height == frame.height > 0


def test_provider_betas_are_clipped_and_say_so(frames):
    provided = frames["symbol_factors"].filter(pl.col("factor_set") == "provider").sort("beta_raw")
    assert provided["beta"].to_list() == [1.1, 5.0]
    assert provided["reasons"].to_list() == [None, "clipped"]
    assert provided["quality"].to_list() == ["ok", "degraded"]
