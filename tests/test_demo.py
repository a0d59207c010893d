"""The demo recovers the betas it knows, says what is missing, and names its data for what it is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli.app import run

PROGRAM = Path(sys.executable).with_name("ridgeline")


@pytest.fixture(scope="module")
def text():
    return subprocess.run([PROGRAM, "demo"], capture_output=True, text=True, check=True).stdout


def test_known_betas_are_recovered(tmp_path, capsys):
    assert run(["demo", "--json", "--store", str(tmp_path / "store")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["recovered"]) == 12
    for row in answer["recovered"]:
        assert row["share_within_2_se"] == pytest.approx(row["expected_share"], abs=0.06), row["factor"]
    assert [phase["status"] for phase in answer["phases"]] == ["completed"] * 6
    reasons = {lot["symbol"]: lot["reasons"] for lot in answer["portfolio"]["positions"]}
    assert reasons["NOSUCH"] == ["unknown_symbol"]
    assert answer["milliseconds"]["whole analysis"] < 1000
    assert answer["http"]["status"]["pending_symbols"] == ["NOSUCH"]
    assert len(answer["http"]["milliseconds"]) == 10


def test_the_banner_and_every_part_are_printed(text):
    assert text.count("SIMULATED DATA") == 2
    for title in (
        "Factor betas",
        "Volatility",
        "Top correlations",
        "Concentration",
        "Stress tests",
        "Milliseconds",
        "The same over HTTP",
        "Onboarding status",
    ):
        assert title in text
    assert "unknown_symbol" in text
