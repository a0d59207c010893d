"""The demo recovers the betas it knows, says what is missing, and names its data for what it is."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from service_process import wait_until_ready

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


def test_the_demo_that_stays_until_it_is_stopped():
    command = [PROGRAM, "serve-demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = process.stdout.readline()
            assert said.startswith("SIMULATED DATA: open http://127.0.0.1:")
            url = said.split()[3]
            wait_until_ready(url)
            portfolio = re.search(r'href="(/portfolios/[^"]+)"', httpx.get(f"{url}/").text)[1]
            assert "As of 2024-06-28" in httpx.get(url + portfolio).text
            assert "Completed with Warnings" in httpx.get(f"{url}{portfolio}/setup").text
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) in (0, 130)
