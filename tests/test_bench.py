"""The bench runs from end to end on tiny sizes, agreement with every rival included, and writes its page."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_a_quick_run_writes_the_tables(tmp_path):
    page = tmp_path / "RESULTS.md"
    command = [sys.executable, "-m", "bench", "--quick", "--output", str(page)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    text = page.read_text()
    for rival in ("statsmodels RollingOLS", "pandas DataFrame.corr", "scikit-learn", "numpy lstsq"):
        assert f"| {rival} |" in text
    assert "smoke test" in text
    assert "| total |" in text
