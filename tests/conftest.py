"""Ledgers of both databases."""

from contextlib import ExitStack
from itertools import count

import postgres
import psycopg
import pytest

from storage.ledger import ledger_at

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
