"""Commands that watch runs of jobs, end them, and do again what they failed on."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from service.cli.app import DATE, EXIT_FAILED, EXIT_OK, EXIT_PARTIAL, batch, cli, shared

if TYPE_CHECKING:
    from service.jobs.dispatch import Ended

EXIT_CODES = {"completed": EXIT_OK, "partial": EXIT_PARTIAL, "failed": EXIT_FAILED}
STATUS = click.Choice(("running", "completed", "partial", "failed"))


@cli.command(hidden=True)
@click.argument("run_id")
@shared
def job(run_id: str, store_path: Path | None, as_json: bool) -> int:
    """Do the job of a run that another process has started."""
    from service.cli.progress import TerminalProgress
    from service.cli.resources import opened
    from service.jobs.dispatch import run_job

    with opened(store_path) as (store, settings), TerminalProgress() as progress:
        ended = run_job(store, settings, progress, store.ledger.runs.named(run_id))
    return _show("Run", ended, as_json)


@batch.command("full")
@click.option("--portfolio", "portfolio_ids", multiple=True, help="Confine it to a portfolio; repeatable.")
@click.option("--from", "first", type=DATE, help="First session of snapshots to take again, with --force.")
@click.option("--to", "last", type=DATE, help="Last one; the newest closed session by default.")
@click.option("--force", is_flag=True, help="Take snapshots again that are there already.")
@shared
def batch_full(
    portfolio_ids: tuple[str, ...],
    first: datetime | None,
    last: datetime | None,
    force: bool,
    store_path: Path | None,
    as_json: bool,
) -> int:
    """Bring symbols and portfolios up to date in nine phases."""
    from service.admin.orders import snapshot_span
    from service.cli.progress import TerminalProgress
    from service.cli.resources import opened
    from service.jobs.orchestrator import run_all_phases

    with opened(store_path) as (store, settings), TerminalProgress() as progress:
        days = (first.date() if first else None, last.date() if last else None)
        ended = run_all_phases(
            store,
            settings,
            progress,
            portfolio_ids=portfolio_ids or None,
            sessions=snapshot_span(store.ledger, settings, portfolio_ids, days, force=force),
            force=force,
        )
    return _show("Nine phases", ended, as_json)


def _show(title: str, ended: "Ended", as_json: bool) -> int:
    from service.cli.output import print_fields, print_json

    if as_json:
        print_json(ended.as_dict())
    else:
        print_fields(title, ended.as_dict())
    return EXIT_CODES[ended.status]
