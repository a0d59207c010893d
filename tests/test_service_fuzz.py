"""The whole OpenAPI document, asked at random: no error of the service, nothing that is not documented."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from service_process import serving, upload

COMMAND = Path(sys.executable).with_name("schemathesis")
SAMPLE = (Path(__file__).parents[1] / "data" / "sample_portfolio.csv").read_text()
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture(scope="module")
def url(store):
    with serving(store) as url:
        yield url


@pytest.mark.parametrize("known", [False, True])
def test_any_request(url, tmp_path, known):
    parameters = "[parameters]\n"
    if known:
        with httpx.Client(base_url=url) as client:
            portfolio_id = upload(client, SAMPLE).json()["portfolio_id"]
        parameters += f'portfolio_id = "{portfolio_id}"\n'
    (tmp_path / "schemathesis.toml").write_text(parameters)
    command = [COMMAND, "--config-file", "schemathesis.toml", "run", f"{url}/schema/openapi.json"]
    command += ["--checks", CHECKS, "--max-examples", "10", "--seed", "7", "--no-color"]
    command += ["--request-timeout", "60"]  # a forced start waits for the run in its way
    ended = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout[-6000:]
