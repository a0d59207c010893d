"""Commands that watch runs of jobs, end them, and do again what they failed on."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from service.cli.app import DATE, EXIT_FAILED, EXIT_OK, EXIT_PARTIAL, batch, cli, shared

if TYPE_CHECKING:
    from service.jobs.dispatch import Ended
    from storage.runs import Status

EXIT_CODES = {"completed": EXIT_OK, "partial": EXIT_PARTIAL, "failed": EXIT_FAILED}
BY_HAND = "manual"
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


@batch.command("status")
@shared
def batch_status(store_path: Path | None, as_json: bool) -> int:
    """Show the run under way, the last run of each nightly job, and how fresh the prices are."""
    from service.admin.current import batch_status as status
    from service.admin.current import current_run
    from service.cli.output import print_fields, print_json
    from service.cli.resources import opened

    with opened(store_path) as (store, settings):
        current, last = current_run(store.ledger), status(store, settings)
    answer = {"current": _plain(current), **_plain(last)}
    if as_json:
        print_json(answer)
        return EXIT_OK
    print_fields("Under way", answer["current"])
    for job_type in ("symbol_batch", "portfolio_refresh"):
        print_fields(job_type.replace("_", " ").capitalize(), answer[job_type] or {"status": "never ran"})
    print_fields("Prices", {name: answer[name] for name in ("latest_price_date", "staleness")})
    return EXIT_OK


@batch.command("history")
@click.option(
    "--days", type=click.IntRange(1, 90), default=30, show_default=True, help="Days to look back on."
)
@click.option("--status", type=STATUS, help="Only runs that stand so.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="Runs at most.")
@shared
def batch_history(
    days: int, status: "Status | None", limit: int, store_path: Path | None, as_json: bool
) -> int:
    """List the newest runs of all jobs."""
    from service.admin.history import history, history_summary
    from service.cli.output import print_fields, print_json, print_table
    from service.cli.resources import opened

    with opened(store_path) as (store, _):
        found = _plain(history(store.ledger, days=days, status=status, limit=limit))
        summary = _plain(history_summary(store.ledger, days=days))
    if as_json:
        print_json({**found, "summary": summary})
        return EXIT_OK
    columns = ("batch_run_id", "batch_type", "status", "started_at", "duration_seconds", "triggered_by")
    print_table("Runs", columns, [[run[column] for column in columns] for run in found["runs"]])
    shown = ("total_runs", "success_rate_percent", "avg_duration_seconds")
    print_fields(f"Last {days} days", {name: summary[name] for name in shown})
    return EXIT_OK


@batch.command("log")
@click.argument("run_id", required=False)
@shared
def batch_log(run_id: str | None, store_path: Path | None, as_json: bool) -> int:
    """Show what a run has said, the newest one when none is named."""
    from service.admin.run_log import log_file, log_text
    from service.cli.output import print_json
    from service.cli.resources import opened
    from service.errors import UsageError

    with opened(store_path) as (store, _):
        store.ledger.runs.fail_stale()
        newest = [run.run_id for run in store.ledger.runs.history(limit=1)]
        if not (named := run_id or next(iter(newest), None)):
            raise UsageError("no job has run on this store yet; `ridgeline batch run` runs one")
        if as_json:
            print_json(_plain(log_file(store.ledger, named)))
        else:
            click.echo(log_text(store.ledger, named), nl=False)
    return EXIT_OK


@batch.command("retry")
@click.argument("run_id")
@shared
def batch_retry(run_id: str, store_path: Path | None, as_json: bool) -> int:
    """Do again what a run failed on, and wait for it."""
    from service.admin.retrying import retry_of
    from service.cli.progress import TerminalProgress
    from service.cli.resources import opened
    from service.jobs.dispatch import begun, run_job

    with opened(store_path) as (store, settings), TerminalProgress() as progress:
        order = retry_of(store.ledger, run_id)
        run = begun(store.ledger, order.job_type, by=BY_HAND, session=order.session, scope=order.scope)
        ended = run_job(store, settings, progress, run)
    return _show(f"Again: {', '.join(order.items) or 'the whole run'}", ended, as_json)


@batch.command("cancel")
@click.argument("run_id")
@shared
def batch_cancel(run_id: str, store_path: Path | None, as_json: bool) -> int:
    """Ask a run to end, in whatever process it runs; it does so at its next unit of work."""
    from service.admin.starting import Jobs
    from service.cli.output import print_json
    from service.cli.resources import opened

    with opened(store_path) as (store, _):
        run = Jobs(store).cancel(run_id, by=BY_HAND)
    if as_json:
        print_json({"cancelling": run_id, "job_type": run.job_type})
    else:
        click.echo(f"{run.job_type} {run_id} ends at its next unit of work")
    return EXIT_OK


def _plain(answer: Any) -> dict[str, Any]:
    """Return a record as plain values."""
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(answer)
    return plain


def _show(title: str, ended: "Ended", as_json: bool) -> int:
    from service.cli.output import print_fields, print_json

    if as_json:
        print_json(ended.as_dict())
    else:
        print_fields(title, ended.as_dict())
    return EXIT_CODES[ended.status]
