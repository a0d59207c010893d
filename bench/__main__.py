"""``python -m bench``: measure everything side by side and write RESULTS.md."""

import argparse
import os
import tempfile
from pathlib import Path

from bench import timing


def main() -> None:
    """Measure, write the page and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round: a smoke test")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    options = parser.parse_args()
    timing.on_one_core()
    with tempfile.TemporaryDirectory(prefix="ridgeline-bench-") as folder:
        if not options.quick:
            timing.touch_memory()
            os.environ[timing.KERNEL_CACHE] = f"{folder}/kernels"  # empty, so that first calls compile
        from bench.measure import FULL, QUICK, measure  # the libraries read the environment on import
        from bench.report import page

        results = measure(QUICK if options.quick else FULL, Path(folder) / "store")
    text = page(results, "A smoke test on tiny sizes: its ratios mean nothing." if options.quick else "")
    options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
