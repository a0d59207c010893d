"""Charts rendered in another process: the same SVG, through the child's death and the parent's."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import chart_answers
import pytest

from service.errors import FailedError
from service.pages.charts import specs
from service.pages.charts.renderer import Renderer
from service.pages.charts.rendering import svg

ROOT = Path(__file__).parents[1]
PARENT = """
import os, subprocess, time
from service.pages.charts.renderer import Renderer
renderer = Renderer()
try:
    renderer.svg({})
except Exception:
    print(renderer._child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def spec():
    answer = chart_answers.all_answers("full", 8)["sectors"]
    return specs.sectors(answer)


@pytest.fixture
def renderer():
    renderer = Renderer()
    yield renderer
    renderer.close()


def ends(pid, seconds=20):
    """Whether a process ends within some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(") ")[2].startswith("Z"):
            return True
        time.sleep(0.05)
    return False


def test_the_child_renders_what_this_process_would(renderer, spec):
    assert renderer.svg(spec) == svg(spec)


def test_a_spec_that_is_none_is_named_and_the_next_one_is_rendered(renderer, spec):
    with pytest.raises(FailedError, match="the chart could not be rendered"):
        renderer.svg({"mark": "nonsense"})
    assert renderer.svg(spec).startswith("<svg")


def test_a_child_that_was_killed_is_started_again(renderer, spec):
    before = renderer.svg(spec)
    first = renderer._child.pid
    os.kill(first, signal.SIGKILL)
    assert renderer.svg(spec) == before
    assert renderer._child.pid != first


def test_closing_ends_the_child(spec):
    renderer = Renderer()
    renderer.svg(spec)
    pid = renderer._child.pid
    renderer.close()
    assert ends(pid)
    with pytest.raises(FailedError, match="the process that renders charts ended"):
        renderer.svg(spec)


def test_no_child_outlives_its_service():
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    assert ends(child)
