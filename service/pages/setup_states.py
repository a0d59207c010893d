"""The four states of a portfolio's set-up as people see them; imports nothing."""

from typing import NamedTuple

TERMINAL = ("completed", "partial", "failed")


class State(NamedTuple):
    """How a state looks and what it says; ``name`` stands in the subtitle for the portfolio's."""

    key: str
    icon: str
    title: str
    subtitle: str


RUNNING = State(
    "running", "rocket", "Setting Up Your Portfolio", "Analyzing your portfolio in 9 processing phases."
)
STATES = {
    "completed": State(
        "completed", "check-circle", "Portfolio Setup Complete!", 'Your portfolio "{name}" is ready.'
    ),
    "partial": State(
        "partial",
        "alert-triangle",
        "Portfolio Setup Completed with Warnings",
        "Your portfolio is ready, but some data may be incomplete.",
    ),
    "failed": State(
        "failed",
        "x-circle",
        "Setup Interrupted",
        "We encountered an issue. Some features may have limited data.",
    ),
}


def state_of(status: str, name: str) -> State:
    """Return the state of a status: whatever has not ended is running."""
    found = STATES.get(status, RUNNING)
    return found._replace(subtitle=found.subtitle.replace("{name}", name))
