"""The command line: help, JSON, exit codes, and one clear message for what is wrong."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from service.cli.app import run
from storage.store import open_store

DATA = Path(__file__).resolve().parents[1] / "data"
PROGRAM = Path(sys.executable).with_name("ridgeline")
COMMANDS = [
    "ingest",
    "ingest-profiles",
    "ingest-actions",
    "ingest-benchmark",
    "batch run",
    "backfill",
    "symbol show",
    "portfolio analyze",
    "portfolio report",
    "sql",
    "status",
    "compact",
    "demo",
    "serve-demo",
]


def answer(capsys, *arguments):
    """Exit code, the one JSON document on stdout, and stderr."""
    capsys.readouterr()
    code = run([*map(str, arguments), "--json"])
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_the_shared_options(capsys, command):
    assert run([*command.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert "--json" in text
    assert "--store" in text


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["batch", "run"],
        ["compact"],
        ["symbol", "show", "baraq"],
        ["portfolio", "analyze", DATA / "sample_portfolio.csv"],
        ["sql", "select 1 as one, DATE '2024-01-02' as day"],
        ["ingest", DATA / "sample_prices.csv"],
    ],
    ids=lambda command: command[0],
)
def test_json_is_one_document(store, capsys, command):
    code, document, _ = answer(capsys, *command, "--store", store)
    assert code == 0
    assert document


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["symbol", "show", "NOSUCH"], "NOSUCH is unknown"),
        (["sql", "select nonsense"], "nonsense"),
        (["sql", "drop table prices"], "only select"),
        (["ingest", "nowhere.csv"], "no such file"),
        (["backfill", "--from", "2024-02-01", "--to", "2024-01-01"], "after"),
        (["portfolio", "analyze", DATA / "sample_portfolio.csv", "--equity", "-1"], "--equity"),
        (["portfolio", "analyze", DATA / "sample_portfolio.csv", "--release", "999"], "no release 999"),
        (["symbol", "show", "BARAQ", "--asof", "2001-01-02"], "the first session is 2024-06-28"),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, list) else "",
)
def test_a_wrong_request_is_refused_with_one_message(store, capsys, command, message):
    code, document, errors = answer(capsys, *command, "--store", store)
    assert code == 2
    assert message in document["error"]["message"]
    assert message in errors


def test_an_empty_store_says_what_to_do(tmp_path, capsys):
    open_store(tmp_path / "empty").close()
    code, document, _ = answer(capsys, "batch", "run", "--store", tmp_path / "empty")
    assert code == 4
    assert "ingest" in document["error"]["message"]


def test_a_missing_proxy_ends_in_part(tmp_path, capsys):
    lines = (DATA / "sample_prices.csv").read_text().splitlines()
    file = tmp_path / "prices.csv"
    file.write_text("\n".join(line for line in lines if ",TLT," not in line))
    assert run(["ingest", str(file), "--store", str(tmp_path / "store")]) == 0
    code, document, _ = answer(capsys, "batch", "run", "--store", tmp_path / "store")
    assert code == 3
    assert document["missing_proxies"] == ["TLT"]


def test_a_held_store_is_refused_as_locked(store):
    holder = textwrap.dedent(f"""
        from storage.store import open_store
        with open_store({str(store)!r}) as store, store.writing("symbol", owner="holder"):
            print("held", flush=True)
            input()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"held\n"
        refused = subprocess.run(
            [PROGRAM, "compact", "--store", store], capture_output=True, text=True, check=False
        )
        child.communicate(b"\n")
    assert refused.returncode == 5
    assert "holder" in refused.stderr


def test_wrong_rows_of_a_portfolio_are_all_named(store, tmp_path, capsys):
    file = tmp_path / "portfolio.csv"
    file.write_text(
        "Symbol,Quantity,Entry Price Per Share,Entry Date\nSPY,0,10,2024-01-02\nA B,1,-1,02/01/2024\n"
    )
    code, document, _ = answer(capsys, "portfolio", "analyze", file, "--store", store)
    assert code == 2
    for part in ("row 2, SPY, Quantity", "A B, Symbol", "A B, Entry Price", "A B, Entry Date"):
        assert part in document["error"]["message"]


def test_help_answers_at_once():
    """The limit is generous for a busy machine; the benchmark holds the real one."""
    result = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=5, check=True)
    assert "portfolio" in result.stdout


def test_the_runs_of_a_store_are_kept(store):
    with open_store(store) as opened:
        assert {run.status for run in opened.ledger.runs.history("symbol_batch")} == {"completed"}
