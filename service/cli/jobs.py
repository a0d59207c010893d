"""Commands that compute the symbol layer."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from service.cli.app import DATE, EXIT_OK, EXIT_PARTIAL, batch, cli, shared

if TYPE_CHECKING:
    from service.jobs.session_batch import Outcome


@batch.command("run")
@click.option("--session", type=DATE, help="Session to compute; the newest with a market price by default.")
@shared
def batch_run(session: datetime | None, store_path: Path | None, as_json: bool) -> int:
    """Compute betas, risk model and metrics for the sessions that lack them."""
    from service.cli.progress import TerminalProgress
    from service.cli.resources import opened
    from service.jobs.symbol_batch import run_symbol_batch

    with opened(store_path) as (store, settings), TerminalProgress() as progress:
        outcome = run_symbol_batch(store, settings, progress, session=session.date() if session else None)
    return _show(outcome, as_json)


@cli.command()
@click.option("--from", "first", type=DATE, required=True, help="First session.")
@click.option("--to", "last", type=DATE, required=True, help="Last session.")
@shared
def backfill(first: datetime, last: datetime, store_path: Path | None, as_json: bool) -> int:
    """Compute every session of a range that is not computed yet."""
    from service.cli.progress import TerminalProgress
    from service.cli.resources import opened
    from service.jobs import symbol_batch

    with opened(store_path) as (store, settings), TerminalProgress() as progress:
        outcome = symbol_batch.backfill(store, settings, progress, first=first.date(), last=last.date())
    return _show(outcome, as_json)


@cli.command()
@shared
def demo(store_path: Path | None, as_json: bool) -> int:
    """Simulate a market with known betas, run the batch, analyze a portfolio; leaves nothing behind."""
    from service.demo import run_demo

    return run_demo(store_path, as_json=as_json)


@cli.command("serve-demo")
@click.option(
    "--port", type=int, default=8000, show_default=True, help="Port to listen on, 0 for a free one."
)
@shared
def serve_demo(port: int, store_path: Path | None, as_json: bool) -> int:
    """Serve the demo's market and portfolio as pages until stopped; leaves nothing behind without --store."""
    import tempfile

    from service.cli.output import print_json
    from service.cli.progress import TerminalProgress
    from service.demo_pages import demo_settings, prepare
    from service.serve import bind, serve
    from storage.store import open_store

    settings = demo_settings(port)
    bound = bind(settings)
    with (
        tempfile.TemporaryDirectory(prefix="ridgeline-demo-") as folder,
        open_store(store_path or Path(folder) / "store") as store,
    ):
        with TerminalProgress() as progress:
            prepare(store, settings, progress)
        address = f"http://{settings.host}:{bound.getsockname()[1]}"
        if as_json:
            print_json({"url": address, "store": str(store.path)})
        else:
            click.echo(f"SIMULATED DATA: open {address} in a browser; stop it with Ctrl-C")
        serve(store, settings, bound)
    return EXIT_OK


def _show(outcome: "Outcome", as_json: bool) -> int:
    from service.cli.output import print_fields, print_json

    if as_json:
        print_json(outcome.as_dict())
    elif not outcome.sessions and not outcome.skipped and outcome.status == "completed":
        click.echo(f"nothing to do: release {outcome.release} is complete")
    else:
        shown = outcome.as_dict()
        shown["sessions"] = (
            f"{len(outcome.sessions)}: {', '.join(outcome.sessions[:1] + outcome.sessions[1:][-1:])}"
        )
        shown["skipped"] = [f"{session} ({reason})" for session, reason in outcome.skipped.items()]
        print_fields("Symbol batch", shown)
    return EXIT_PARTIAL if outcome.status == "partial" else EXIT_OK
