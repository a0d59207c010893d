"""A real service in a process of its own, on loopback, and clients to it."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "service.cli")


class Url(str):
    """A service's URL, and its process id."""

    pid: int


@contextmanager
def serving(store, **environment):
    """Serve a store; gives the service's URL once its book is loaded. It takes no snapshot unasked."""
    command = [*COMMAND, "serve", "--port", "0", "--json", "--store", str(store)]
    environment = {**os.environ, "RIDGELINE_SNAPSHOT_SECONDS": "3600", **environment}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True) as process:
        try:
            document = ""
            while not document.endswith("}\n"):
                line = process.stdout.readline()
                assert line, f"the service ended with {process.wait()}"
                document += line
            url = Url(json.loads(document)["url"])
            url.pid = process.pid
            wait_until_ready(url)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def processor_seconds(pid):
    """Seconds that the processor has worked for a process: other tests do not lengthen them."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_ready(url, seconds=180):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the service did not get ready")


def form(**changes):
    fields = {
        "portfolio_name": "Main",
        "account_name": "Broker",
        "account_type": "taxable",
        "equity_balance": "500000",
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def upload(client, csv, filename="lots.csv", **changes):
    content = csv.encode() if isinstance(csv, str) else csv
    files = {"description": (None, "")} if csv is None else {"csv_file": (filename, content, "text/csv")}
    return client.post("/api/v1/onboarding/create-portfolio", data=form(**changes), files=files)
