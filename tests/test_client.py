"""The Python client against a running service, and the notebook of the README."""

import re
from pathlib import Path

import pytest
from service_process import serving

from service.client import Client, RequestRefused

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample_portfolio.csv"
NOTEBOOK = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def url(store):
    with serving(store) as url:
        yield url


def test_from_a_file_to_frames(url):
    with Client(url) as client:
        portfolio_id = client.create_portfolio(SAMPLE, name="Main", account="One", equity=500_000)
        assert client.status(portfolio_id)["pending_symbols"] == ["NOSUCH"]
        assert client.analytics(portfolio_id, "overview")["net_asset_value"] == 500_000
        assert client.factor_exposures(portfolio_id).height == 13
        assert client.stress(portfolio_id)["dollar_impact"].null_count() == 0
        matrix = client.correlations(portfolio_id, max_symbols=3)
        assert matrix.columns == ["symbol", *matrix["symbol"]]
        assert abs(client.sectors(portfolio_id)["weight"].sum() - 1) < 1e-9
        changed = client.what_if([{"symbol": "SPY", "quantity": -500}], portfolio_id=portfolio_id)
        assert changed["after"]["overview"]["net_asset_value"] == 500_000


def test_errors_are_the_services_own(url, tmp_path):
    (tmp_path / "bad.csv").write_text(
        "Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,0,1,2024-01-05\n"
    )
    with Client(url) as client:
        with pytest.raises(RequestRefused, match="ERR_PORT_008") as refused:
            client.create_portfolio(tmp_path / "bad.csv", name="Main", account="Two", equity=1)
        assert refused.value.body["error"]["details"]["errors"][0]["code"] == "ERR_POS_006"
        with pytest.raises(RequestRefused, match="404 not_found: no portfolio x"):
            client.analytics("x", "overview")
    with Client(url, "rl_wrong") as stranger, pytest.raises(RequestRefused, match="401"):
        stranger.status("x")


@pytest.mark.parametrize("code", NOTEBOOK)
def test_the_notebook_of_the_readme(url, code, monkeypatch):
    monkeypatch.chdir(ROOT)
    names: dict = {}
    exec(code.replace("http://127.0.0.1:8000", url), names)
    assert names["exposures"].height == 13
