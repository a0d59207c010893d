"""Commands that bring data in, look at the store and keep it tidy."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from service.cli.app import DATE, EXIT_FAILED, EXIT_OK, cli, shared

if TYPE_CHECKING:
    from service.ingest import Ingested

PATH = click.Path(path_type=Path)


@cli.command()
@click.argument("path", type=PATH)
@shared
def ingest(path: Path, store_path: Path | None, as_json: bool) -> int:
    """Check and store prices: a CSV or Parquet file, or a folder of them."""
    from service import clock
    from service.cli.progress import TerminalProgress
    from service.cli.resources import opened
    from service.ingest import ingest_prices
    from service.providers.files import read_prices

    prices = read_prices(path)
    with opened(store_path, create=True) as (store, settings):
        closed = clock.last_closed_session(settings)
        with TerminalProgress() as progress:
            progress.start_phase("ingest", "Checking prices", prices["symbol"].n_unique(), "symbols")
            result = ingest_prices(
                store,
                prices,
                last_session=closed,
                advance=lambda done, _: progress.update_phase_progress("ingest", done),
            )
    return _show_ingested(f"Prices from {path}", result, as_json)


@cli.command("ingest-profiles")
@click.argument("path", type=PATH)
@click.option("--as-of", type=DATE, help="Date from which profiles without one are known; today by default.")
@shared
def ingest_profiles(path: Path, as_of: datetime | None, store_path: Path | None, as_json: bool) -> int:
    """Store company profiles: sector, industry, asset class, provider beta."""
    from service import clock
    from service.cli.resources import opened
    from service.ingest import ingest_table
    from service.providers.files import read_profiles

    with opened(store_path, create=True) as (store, settings):
        known = as_of.date() if as_of else clock.now(settings).date()
        profiles = read_profiles(path, as_of=known)
        return _show_ingested(
            f"Profiles from {path}", ingest_table(store, "profiles", profiles, ["symbol", "as_of"]), as_json
        )


@cli.command("ingest-actions")
@click.argument("path", type=PATH)
@shared
def ingest_actions(path: Path, store_path: Path | None, as_json: bool) -> int:
    """Store corporate actions: splits, dividends, renames, delistings."""
    from service.cli.resources import opened
    from service.ingest import ingest_table
    from service.providers.files import read_actions

    actions = read_actions(path)
    with opened(store_path, create=True) as (store, _):
        return _show_ingested(
            f"Corporate actions from {path}",
            ingest_table(store, "corporate_actions", actions, ["symbol", "session", "kind"]),
            as_json,
        )


@cli.command("ingest-benchmark")
@click.argument("path", type=PATH)
@shared
def ingest_benchmark(path: Path, store_path: Path | None, as_json: bool) -> int:
    """Store the sector weights of a benchmark."""
    from service.cli.resources import opened
    from service.ingest import ingest_table
    from service.providers.files import read_benchmark

    weights = read_benchmark(path)
    with opened(store_path, create=True) as (store, _):
        return _show_ingested(
            f"Benchmark weights from {path}",
            ingest_table(store, "benchmark_weights", weights, ["benchmark", "as_of", "sector"]),
            as_json,
        )


@cli.command()
@click.argument("query")
@shared
def sql(query: str, store_path: Path | None, as_json: bool) -> int:
    """Run one read-only SQL query on the analysts' database."""
    from service.cli.output import print_json, print_table, records
    from service.cli.resources import opened

    with opened(store_path) as (store, _):
        frame = store.sql(query)
    if as_json:
        print_json(records(frame))
    else:
        print_table(f"{frame.height} rows", frame.columns, frame.iter_rows())
    return EXIT_OK


@cli.command()
@shared
def compact(store_path: Path | None, as_json: bool) -> int:
    """Merge the small files of closed quarters, delete files that no release names, forget old logs."""
    from datetime import timedelta

    from service.cli.output import print_fields, print_json
    from service.cli.resources import opened
    from service.run_status import forget_old_logs
    from storage.store import LAYERS

    with opened(store_path) as (store, settings):
        before = [store.release(layer=layer) for layer in LAYERS]
        after = [store.compact(layer) for layer in LAYERS]
        age = timedelta(hours=settings.retention_hours)
        forget_old_logs(store.ledger, settings)
        vacuumed = [store.vacuum(layer, older_than=age, owner="compact") for layer in LAYERS]
    answer = {
        "release": after[LAYERS.index("symbol")].number,
        "compacted": after != before,
        "deleted_files": sum(each.files for each in vacuumed),
        "deleted_bytes": sum(each.size for each in vacuumed),
    }
    if as_json:
        print_json(answer)
    else:
        print_fields("Compaction", answer)
    return EXIT_OK


@cli.command()
@shared
def status(store_path: Path | None, as_json: bool) -> int:
    """Show what the store holds, how fresh it is, and what its jobs did."""
    from service.cli.output import print_fields, print_json
    from service.cli.resources import opened
    from service.status import store_status

    with opened(store_path) as (store, settings):
        answer = store_status(store, settings)
    if as_json:
        print_json(answer)
    else:
        runs = [f"{run['job_type']} {run['status']}" for run in answer["last_runs"]]
        print_fields("Store", {**answer, "last_runs": runs})
    return EXIT_OK


def _show_ingested(title: str, result: "Ingested", as_json: bool) -> int:
    from service.cli.output import print_fields, print_json

    refused = [f"{count} {reason}" for reason, count in result.quarantined.items()]
    if as_json:
        print_json(result.as_dict())
    else:
        shown = {**result.as_dict(), "quarantined": refused}
        shown["release"] = "nothing to do" if result.release is None else result.release
        print_fields(title, shown)
    if result.status == "completed":
        return EXIT_OK
    click.echo(
        f"ridgeline: none of the {result.rows_read} rows was kept ({', '.join(refused)}); "
        "the table quarantine names each",
        err=True,
    )
    return EXIT_FAILED
