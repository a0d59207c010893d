"""Every command and every query of the README runs as printed, in the order printed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
QUERIES = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)


def ridgeline(*arguments: str, store: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("ridgeline")
    return subprocess.run(
        [program, *arguments, "--store", store], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Results of all commands, run one after another on one store, and that store."""
    store = tmp_path_factory.mktemp("readme") / "store"
    parsed = [shlex.split(line) for line in COMMANDS]
    assert all(program == "ridgeline" for program, *_ in parsed)
    return {
        line: ridgeline(*words[1:], store=store) for line, words in zip(COMMANDS, parsed, strict=True)
    }, store


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_succeeds(outcomes, command):
    result = outcomes[0][command]
    assert result.returncode == 0, result.stderr
    assert result.stdout


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_the_readme_finds_rows(outcomes, query):
    result = ridgeline("sql", query, "--json", store=outcomes[1])
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() not in ("", "[]")


def test_there_are_three_queries_and_the_main_commands():
    assert len(QUERIES) == 3
    assert {"ingest", "batch", "backfill", "portfolio"} <= {command.split()[1] for command in COMMANDS}


def test_the_readme_names_every_make_target_and_exit_code():
    targets = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target in set(targets[0].split()) - {"clean"}:
        assert f"make {target}" in TEXT, target
    assert set(re.findall(r"`make ([a-z-]+)`", TEXT)) <= set(targets[0].split())


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / link).exists(), link
