"""The command that takes snapshots of portfolios."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from service.cli.app import DATE, EXIT_OK, EXIT_PARTIAL, refresh, shared

if TYPE_CHECKING:
    from service.jobs.portfolio_refresh import RefreshOutcome


@refresh.command("run")
@click.option(
    "--portfolio", "portfolio_ids", multiple=True, help="Id of a portfolio, all when not given; repeatable."
)
@click.option("--from", "first", type=DATE, help="First session; all that are missing by default.")
@click.option("--to", "last", type=DATE, help="Last session, with --from; the newest closed one by default.")
@click.option("--force", is_flag=True, help="Take snapshots again from --from on, the later ones too.")
@shared
def refresh_run(
    portfolio_ids: tuple[str, ...],
    first: datetime | None,
    last: datetime | None,
    force: bool,
    store_path: Path | None,
    as_json: bool,
) -> int:
    """Take the snapshots that portfolios lack, with P&L, exposures, volatility, correlations and stress."""
    from service import clock
    from service.cli.progress import TerminalProgress
    from service.cli.resources import opened
    from service.errors import UsageError
    from service.jobs.portfolio_refresh import refresh_portfolios

    if last and not first:
        raise UsageError("--to needs --from; give both, or neither for all missing sessions")
    with opened(store_path) as (store, settings), TerminalProgress() as progress:
        live = {each.portfolio_id for each in store.ledger.portfolios.everyones()} if portfolio_ids else set()
        if unknown := sorted(set(portfolio_ids) - live):
            raise UsageError(f"no portfolio {', '.join(unknown)}; `ridgeline portfolio list` shows them")
        until = last.date() if last else clock.last_closed_session(settings)
        outcome = refresh_portfolios(
            store,
            settings,
            progress,
            portfolio_ids=portfolio_ids or None,
            sessions=(first.date(), until) if first else None,
            force=force,
        )
    return _show(outcome, as_json)


def _show(outcome: "RefreshOutcome", as_json: bool) -> int:
    from service.cli.output import print_fields, print_json

    if as_json:
        print_json(outcome.as_dict())
    elif not outcome.snapshots and not outcome.failed and not outcome.lacking:
        click.echo(f"nothing to do: release {outcome.release} is complete")
    else:
        shown = outcome.as_dict()
        shown["sessions"] = ", ".join(outcome.sessions[:1] + outcome.sessions[1:][-1:])
        shown["failed"] = [f"{each} ({why})" for each, why in outcome.failed.items()]
        print_fields("Portfolio refresh", shown)
    return EXIT_PARTIAL if outcome.status == "partial" else EXIT_OK
