"""Ledgers of both databases, and a store of the sample files."""

from contextlib import ExitStack
from itertools import count
from pathlib import Path
from shutil import copytree

import browsers
import httpx
import postgres
import psycopg
import pytest
from owners import NOON, keys_of
from refreshing import LAST, START
from service_process import serving

from service.cli.app import run
from storage.ledger import ledger_at
from storage.store import open_store

DATA = Path(__file__).parents[1] / "data"

numbers = count()


@pytest.fixture(scope="session")
def postgres_server():
    """The URL of a running server; skips what asks for it where none can start."""
    with ExitStack() as running:
        try:
            url = running.enter_context(postgres.server())
        except OSError as error:
            pytest.skip(f"no PostgreSQL: {error}")
        yield url


@pytest.fixture
def postgres_url(postgres_server):
    """The URL of a new database."""
    name = f"ledger_{next(numbers)}"
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgres_server}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request, tmp_path):
    """The URL of a new, empty ledger, on either database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def ledger(ledger_url):
    opened = ledger_at(ledger_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def browser():
    """A running browser; skips what asks for it where there is none. Its event loop would hinder others."""
    with ExitStack() as running:
        try:
            launched = running.enter_context(browsers.launched())
        except OSError as error:
            pytest.skip(f"no browser: {error}")
        yield launched


@pytest.fixture(scope="session")
def sample_store(tmp_path_factory):
    """A store of the sample files with one computed session; copy it before changing it."""
    path = tmp_path_factory.mktemp("sample") / "store"
    for arguments in (
        ["ingest-actions", DATA / "sample_actions.csv"],
        ["ingest", DATA / "sample_prices.csv"],
        ["ingest-profiles", DATA / "sample_profiles.csv"],
        ["ingest-benchmark", DATA / "sample_benchmark.csv"],
        ["batch", "run"],
    ):
        assert run([*map(str, arguments), "--store", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A closed store with nothing in it, to be copied: making its tables takes forty times as long."""
    path = tmp_path_factory.mktemp("empty") / "store"
    open_store(path).close()
    return path


@pytest.fixture(scope="session")
def ten_sessions(sample_store, tmp_path_factory):
    """A store of the sample files, computed for its last ten sessions; copy it before changing it."""
    path = tmp_path_factory.mktemp("ten") / "store"
    copytree(sample_store, path)
    assert run(["backfill", "--from", str(START), "--to", str(LAST), "--store", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def store(sample_store, tmp_path_factory):
    """A copy of the sample store for one file of tests."""
    path = tmp_path_factory.mktemp("copy") / "store"
    copytree(sample_store, path)
    return path


@pytest.fixture(scope="module")
def served(store):
    """The URL of a service on the sample store, and a key of each owner."""
    secrets = keys_of(store)
    with serving(store, RIDGELINE_NY_TIME=NOON) as url:
        yield url, secrets


@pytest.fixture(scope="module")
def ann(served):
    url, secrets = served
    with httpx.Client(base_url=f"{url}/api/v1", headers={"X-API-Key": secrets["ann"]}, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def bob(served):
    url, secrets = served
    with httpx.Client(base_url=f"{url}/api/v1", headers={"X-API-Key": secrets["bob"]}, timeout=60) as client:
        yield client
