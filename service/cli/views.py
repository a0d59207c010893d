"""Commands that show a symbol or a portfolio."""

from datetime import datetime
from pathlib import Path
from typing import Any

import rich_click as click

from service.cli.app import DATE, EXIT_OK, portfolio, shared, symbol


@symbol.command("show")
@click.argument("name", metavar="SYMBOL")
@click.option("--asof", type=DATE, help="Date whose knowledge is shown; the newest session by default.")
@shared
def symbol_show(name: str, asof: datetime | None, store_path: Path | None, as_json: bool) -> int:
    """Show a symbol's betas and metrics."""
    from service.cli.output import print_fields, print_json, print_table
    from service.cli.resources import opened
    from service.symbol_view import symbol_view

    with opened(store_path) as (store, _):
        answer = symbol_view(store, name.upper(), asof.date() if asof else None)
    if as_json:
        print_json(answer)
        return EXIT_OK
    print_fields(
        f"{answer['symbol']} as of {answer['as_of']} (release {answer['release']})", answer["metrics"]
    )
    columns = ("factor", "beta", "se", "t_stat", "r2", "n_obs", "quality", "reasons")
    print_table("Factor betas", columns, [[row[c] for c in columns] for row in answer["factors"]])
    return EXIT_OK


@portfolio.command("analyze")
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE.csv")
@click.option(
    "--equity", type=float, help="Net asset value of the account; the sum of the values by default."
)
@click.option("--asof", type=DATE, help="Date as of which to analyze; the newest session by default.")
@click.option("--release", type=int, help="Release to read; the newest by default.")
@shared
def portfolio_analyze(
    path: Path,
    equity: float | None,
    asof: datetime | None,
    release: int | None,
    store_path: Path | None,
    as_json: bool,
) -> int:
    """Analyze the positions of a CSV file."""
    from service.cli.output import print_json
    from service.cli.resources import opened
    from service.portfolio_view import analyze_file

    with opened(store_path) as (store, settings):
        pinned = None if release is None else store.release(release)
        day = asof.date() if asof else None
        answer = analyze_file(store, settings, path, equity=equity, asof=day, release=pinned)
    if as_json:
        print_json(answer)
    else:
        print_analysis(answer)
    return EXIT_OK


def print_analysis(answer: dict[str, Any]) -> None:
    """Print an analysis for a person."""
    from service.cli import portfolio_tables

    for show in portfolio_tables.TABLES:
        show(answer)
