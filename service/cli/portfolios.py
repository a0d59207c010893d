"""Commands on stored portfolios: the same code that HTTP runs, as the owner given."""

from pathlib import Path
from typing import Any

import rich_click as click

from service.cli.app import EXIT_OK, portfolio, shared

OWNER = click.option("--owner", default="local", show_default=True, help="Whose portfolios.")


@portfolio.command("import")
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE.csv")
@click.option("--name", required=True, help="Name of the portfolio.")
@click.option("--account", required=True, help="Name of the account; one of a kind for its owner.")
@click.option("--account-type", default="taxable", show_default=True, help="Type of the account.")
@click.option("--equity", required=True, help="Net asset value of the account.")
@click.option(
    "--format", "layout", type=click.Choice(("template", "auto")), default="template", show_default=True
)
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Entry date of holdings without one.")
@OWNER
@shared
def portfolio_import(path: Path, store_path: Path | None, as_json: bool, **form: Any) -> int:
    """Store a portfolio from a CSV file of positions, all or nothing."""
    from service.cli.output import print_fields, print_json
    from service.cli.resources import opened
    from service.errors import InputError
    from service.live_book import LiveBook
    from service.onboarding import Form, create_portfolio

    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a readable CSV file") from error
    entered = Form(
        portfolio_name=form["name"],
        account_name=form["account"],
        account_type=form["account_type"],
        equity_balance=form["equity"],
        csv=content,
        filename=path.name,
        layout=form["layout"],
        as_of=form["as_of"] and form["as_of"].date(),
    )
    with opened(store_path, create=True) as (store, settings):
        live = LiveBook(store, settings.option_rate)
        live.refresh()
        made = create_portfolio(store.ledger, settings, live.market, owner=form["owner"], form=entered)
    answer = {
        "portfolio_id": made.portfolio.portfolio_id,
        "portfolio_name": made.portfolio.name,
        "account_name": made.portfolio.account_name,
        "positions_imported": len(made.lots),
        "pending_symbols": list(made.unknown),
    }
    if as_json:
        print_json(answer)
    else:
        print_fields("Stored", answer)
    return EXIT_OK


@portfolio.command("list")
@OWNER
@shared
def portfolio_list(owner: str, store_path: Path | None, as_json: bool) -> int:
    """List an owner's portfolios."""
    from service.cli.output import print_json, print_table
    from service.cli.resources import opened

    with opened(store_path) as (store, _):
        found = store.ledger.portfolios.of(owner)
        counts = store.ledger.positions.counts([each.portfolio_id for each in found])
    columns = ("portfolio_id", "name", "account_name", "account_type", "equity_balance", "position_count")
    rows = [
        (
            each.portfolio_id,
            each.name,
            each.account_name,
            each.account_type,
            None if each.starting_equity is None else float(each.starting_equity),
            counts[each.portfolio_id],
        )
        for each in found
    ]
    if as_json:
        print_json({"portfolios": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        print_table("Portfolios", columns, rows)
    return EXIT_OK


@portfolio.command("show")
@click.argument("portfolio_id")
@OWNER
@shared
def portfolio_show(portfolio_id: str, owner: str, store_path: Path | None, as_json: bool) -> int:
    """Show all analytics of a stored portfolio."""
    from service.cli.output import print_json
    from service.cli.resources import opened
    from service.cli.views import print_analysis
    from service.portfolio_view import analyze_stored

    with opened(store_path) as (store, settings):
        answer = analyze_stored(store, settings, owner, portfolio_id)
    if as_json:
        print_json(answer)
    else:
        print_analysis(answer)
    return EXIT_OK


@portfolio.command("export")
@click.argument("portfolio_id")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="File to write; standard output if none."
)
@OWNER
@shared
def portfolio_export(
    portfolio_id: str, output: Path | None, owner: str, store_path: Path | None, as_json: bool
) -> int:
    """Export a portfolio's lots as a CSV file that can be imported again."""
    from service.cli.output import print_json
    from service.cli.resources import opened
    from service.csv_import.template import csv_of

    with opened(store_path) as (store, _):
        store.ledger.portfolios.get(owner, portfolio_id)
        lots = [position.lot for position in store.ledger.positions.of(portfolio_id)]
    text = csv_of(lots)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"portfolio_id": portfolio_id, "lots": len(lots), "csv": None if output else text})
    elif output is None:
        click.echo(text, nl=False)
    return EXIT_OK


@portfolio.command("report")
@click.argument("portfolio_id")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="File to write; standard output if none."
)
@OWNER
@shared
def portfolio_report(
    portfolio_id: str, output: Path | None, owner: str, store_path: Path | None, as_json: bool
) -> int:
    """Write everything about a stored portfolio as one HTML file with its charts."""
    from service.api.analytics.asked import quality_on
    from service.cli.output import print_json
    from service.cli.resources import opened
    from service.pages.charts.rendering import svg
    from service.pages.report import report
    from service.pages.views import View
    from service.portfolio_view import stored_portfolio

    with opened(store_path) as (store, settings):
        composed = stored_portfolio(store, settings, owner, portfolio_id)
        text = report(View(store, composed, quality_on(settings, composed)), svg)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"portfolio_id": portfolio_id, "html": None if output else text})
    elif output is None:
        click.echo(text, nl=False)
    return EXIT_OK


@portfolio.command("whatif")
@click.argument("trades", nargs=-1, required=True, metavar="SYMBOL=QUANTITY…")
@click.option("--portfolio", "portfolio_id", help="Portfolio that the trades are on top of.")
@click.option("--equity", type=float, help="Net asset value; that of the portfolio by default.")
@OWNER
@shared
def portfolio_whatif(
    trades: tuple[str, ...],
    portfolio_id: str | None,
    equity: float | None,
    owner: str,
    store_path: Path | None,
    as_json: bool,
) -> int:
    """Show what trades at the book's closes would change, without making them."""
    from service.cli.output import print_json
    from service.cli.resources import opened
    from service.cli.views import print_analysis
    from service.portfolio_view import analyze_trades

    with opened(store_path) as (store, settings):
        answer = analyze_trades(store, settings, owner, portfolio_id, trades, equity=equity)
    if as_json:
        print_json(answer)
    else:
        print_analysis(answer)
    return EXIT_OK
