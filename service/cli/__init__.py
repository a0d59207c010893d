"""The command line. Commands import what they need when they run, so that ``--help`` answers at once."""

import os

from service.cli import interrupts


def main() -> None:
    """Run the command line and exit with the code of what happened."""
    # Threads of the linear algebra library only get in each other's way at these sizes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    interrupts.listen()
    try:
        from service.cli.app import run

        code = run()
    except interrupts.Stopped:
        code = interrupts.say_so()
    interrupts.leave(code)
