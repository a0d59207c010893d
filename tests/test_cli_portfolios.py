"""Stored portfolios on the command line: in, listed, shown, out again, and traded in thought."""

import json
from pathlib import Path

import pytest

from service.cli.app import run

SAMPLE = Path(__file__).parents[1] / "data" / "sample_portfolio.csv"


@pytest.fixture
def ridgeline(store, capsys):
    def answer(*arguments, code=0):
        capsys.readouterr()
        assert run([*map(str, arguments), "--json", "--store", str(store)]) == code
        return json.loads(capsys.readouterr().out)

    return answer


@pytest.fixture
def portfolio_id(ridgeline, request):
    form = ["--name", "Main", "--account", request.node.name, "--equity", "500000"]
    made = ridgeline("portfolio", "import", SAMPLE, *form)
    assert (made["positions_imported"], made["pending_symbols"]) == (13, ["NOSUCH"])
    return made["portfolio_id"]


def test_a_portfolio_is_listed_and_shown_like_its_file(ridgeline, portfolio_id):
    listed = {each["portfolio_id"]: each for each in ridgeline("portfolio", "list")["portfolios"]}
    assert (listed[portfolio_id]["equity_balance"], listed[portfolio_id]["position_count"]) == (500_000, 13)
    shown = ridgeline("portfolio", "show", portfolio_id)
    assert shown == ridgeline("portfolio", "analyze", SAMPLE, "--equity", 500_000)


def test_what_goes_out_comes_in_again(ridgeline, portfolio_id, tmp_path):
    out = tmp_path / "lots.csv"
    ridgeline("portfolio", "export", portfolio_id, "-o", out)
    form = ["--name", "Copy", "--account", "Copy", "--equity", "500000"]
    copy = ridgeline("portfolio", "import", out, *form)["portfolio_id"]
    assert ridgeline("portfolio", "export", copy)["csv"] == out.read_text()


def test_trades_in_thought(ridgeline, portfolio_id):
    before = ridgeline("portfolio", "show", portfolio_id)
    after = ridgeline("portfolio", "whatif", "SPY=-500", "--portfolio", portfolio_id)
    assert "SPY" not in after["concentration"]["position_weights"]
    assert after["overview"]["net_asset_value"] == before["overview"]["net_asset_value"]
    alone = ridgeline("portfolio", "whatif", "SPY=10", "--equity", 10_000)
    assert alone["overview"]["position_count"]["total_positions"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("portfolio", "show", "nosuch"),
        ("portfolio", "export", "nosuch"),
        ("portfolio", "whatif", "SPY"),
        ("portfolio", "whatif", "SPY=many"),
        ("portfolio", "import", SAMPLE, "--name", "x", "--account", "y", "--equity", "none"),
        ("portfolio", "import", "nosuch.csv", "--name", "x", "--account", "y", "--equity", "1"),
    ],
)
def test_wrong_requests(ridgeline, arguments):
    assert ridgeline(*arguments, code=2)["error"]["message"]


def test_another_owners_portfolio_is_nowhere(ridgeline, portfolio_id):
    assert ridgeline("portfolio", "show", portfolio_id, "--owner", "eve", code=2)
    assert ridgeline("portfolio", "list", "--owner", "eve") == {"portfolios": []}
