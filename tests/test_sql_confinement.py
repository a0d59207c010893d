"""The walls around other people's queries: each of them holds without the others."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sandboxes import ENVIRONMENT, filled, python

from storage import confinement

pytestmark = pytest.mark.skipif(not confinement.is_available(), reason="no Landlock in this kernel")
LONG = "SELECT levenshtein(repeat('a', 100000), repeat('b', 100000))"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with filled(tmp_path_factory.mktemp("confinement") / "store") as opened:
        yield opened


def test_the_kernel_alone_would_do(store, tmp_path):
    script = """
import json, os, socket, subprocess, sys
from pathlib import Path
from storage import sandbox
from storage.confinement import confine
lake, file, outside, port = sys.argv[1:]
lake_descriptor = os.open(lake, os.O_RDONLY)
confine([lake_descriptor], limits=sandbox.LIMITS)
tried = {
    "read": lambda: Path(file).read_bytes(),
    "list": lambda: os.listdir(lake),
    "write": lambda: open(file, "r+b"),
    "truncate": lambda: os.truncate(file, 0),
    "delete": lambda: os.unlink(file),
    "rename": lambda: os.rename(file, file + ".old"),
    "create": lambda: open(lake + "/new", "wb"),
    "make": lambda: os.mkdir(lake + "/folder"),
    "link": lambda: os.symlink(file, lake + "/link"),
    "read elsewhere": lambda: Path("/etc/passwd").read_bytes(),
    "list elsewhere": lambda: os.listdir("/"),
    "create elsewhere": lambda: open(outside, "wb"),
    "connect": lambda: socket.create_connection(("127.0.0.1", int(port)), 5),
    "listen": lambda: socket.create_server(("127.0.0.1", 0)),
    "run": lambda: subprocess.run(["/bin/true"]),
}
said = {}
for name, call in tried.items():
    try:
        call()
        said[name] = "done"
    except OSError as error:
        said[name] = type(error).__name__
print(json.dumps(said))
"""
    one_file = next(Path(store.lake_path, "prices").glob("*.parquet"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = python(script, store.lake_path, one_file, tmp_path / "x", server.getsockname()[1])
    done = {name for name, outcome in said.items() if outcome == "done"}
    assert done == {"read", "list"}
    assert {outcome for name, outcome in said.items() if name not in done} == {"PermissionError"}


def test_the_database_alone_refuses_all_but_copying_into_the_lake(store):
    script = """
import json, os, sys
import duckdb
from storage import sandbox
catalog, lake, *statements = sys.argv[1:]
connection = duckdb.connect(config=sandbox.CONFIG)
sandbox.attach(connection, os.open(catalog, os.O_RDONLY), lake)
said = []
for statement in statements:
    try:
        connection.execute(statement).fetchall()
        said.append("done")
    except duckdb.Error as error:
        said.append(str(error))
print(json.dumps(said))
"""
    refused = {
        "DELETE FROM symbols": "read-only",
        "CREATE TABLE mine AS SELECT 1": "read-only",
        "WITH d AS (DELETE FROM symbols RETURNING *) FROM d": "read-only",
        "COPY (SELECT 1) TO '/tmp/out.csv'": "disabled by configuration",
        "ATTACH '/tmp/other.duckdb' AS other": "disabled by configuration",
        "SET enable_external_access = true": "locked",
        "SET memory_limit = '10GB'": "locked",
        "SET allowed_directories = ['/']": "locked",
        "INSTALL httpfs": "disabled",
        "LOAD httpfs": "disabled",
        "FROM read_text('/etc/passwd')": "disabled by configuration",
    }
    said = python(script, store.catalog_path, store.lake_path, *refused)
    for statement, (outcome, message) in zip(refused, zip(said, refused.values(), strict=True), strict=True):
        assert message in outcome, statement


def test_whoever_waits_for_a_query_takes_it_along(store):
    script = f"""
import json, subprocess, sys
from storage import sandbox
command = [sys.executable, "-m", "storage.sandbox", *sys.argv[1:], "json"]
with subprocess.Popen(command, stdin=subprocess.PIPE, env={{"PYTHONPATH": ":".join(sys.path)}}) as child:
    child.stdin.write({LONG!r}.encode())
    child.stdin.close()
    print(child.pid, flush=True)
    child.wait()
"""
    command = [sys.executable, "-c", script, store.catalog_path, store.lake_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT) as parent:
        status = Path("/proc", parent.stdout.readline().decode().strip(), "status")
        until(lambda: "NoNewPrivs:\t1" in status.read_text())
        parent.send_signal(signal.SIGKILL)
    until(lambda: not status.exists() or "State:\tZ" in status.read_text())


def until(holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
