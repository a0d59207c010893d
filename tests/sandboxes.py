"""A small store for other people's queries, and programs that run where such a query does."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import date

import polars as pl
from stores import days, prices

from storage import sandbox
from storage.store import open_store

SESSIONS = days(date(2016, 5, 16), 10, step=15)
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(sys.path), **sandbox.ENVIRONMENT}
ANSWERING = """
import json, os, sys
import duckdb
from storage import sandbox
from storage.confinement import confine
from storage.errors import InvalidQuery
catalog, lake = sys.argv[1:]
connection = duckdb.connect(config=sandbox.CONFIG)
descriptors = os.open(catalog, os.O_RDONLY), os.open(lake, os.O_RDONLY)
confine(descriptors, limits=sandbox.LIMITS)
sandbox.attach(connection, descriptors[0], lake)
said = []
for query in json.load(sys.stdin):
    try:
        said.append(json.loads(sandbox.answer(connection, query, "json")[0])["rows"])
    except InvalidQuery as error:
        said.append(str(error))
print(json.dumps(said))
"""


@contextmanager
def filled(path):
    """A store with twenty prices of two symbols, and nothing computed."""
    with open_store(path) as opened:
        opened.ledger.symbols.register(["A", "B"], "files")
        with opened.writing("symbol", owner="test") as writer:
            writer.append("prices", prices(["A", "B"], SESSIONS).with_columns(close=pl.int_range(20) * 1.5))
            writer.publish(session=SESSIONS[-1])
        yield opened


def python(script, *arguments, given=""):
    """Run a program as a query's process is run; returns what it printed as JSON."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, env=ENVIRONMENT, input=given, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def asked(store, queries):
    """Ask queries one after another in one confined process; each one's rows, or why there are none."""
    return python(ANSWERING, store.catalog_path, store.lake_path, given=json.dumps(list(queries)))
