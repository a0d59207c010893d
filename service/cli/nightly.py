"""Commands of the night: run it, look whether it can run, and how fresh the prices are."""

from pathlib import Path

import rich_click as click

from service.cli.app import EXIT_FAILED, EXIT_OK, EXIT_PARTIAL, cli, shared


@cli.command()
@shared
def nightly(store_path: Path | None, as_json: bool) -> int:
    """Collect prices, compute the symbol layer, then refresh all portfolios.

    A symbol batch that another process is running is waited for.
    """
    from service.cli.output import print_fields, print_json
    from service.cli.progress import TerminalProgress
    from service.cli.resources import opened
    from service.jobs.nightly import run_night

    with opened(store_path, create=True) as (store, settings), TerminalProgress() as progress:
        night = run_night(store, settings, progress)
    if as_json:
        print_json(night.as_dict())
    else:
        if night.symbol_batch is not None:
            print_fields("Symbol batch", night.symbol_batch.as_dict())
        print_fields("Portfolio refresh", night.portfolio_refresh.as_dict())
    return EXIT_PARTIAL if night.status == "partial" else EXIT_OK


@cli.command()
@shared
def doctor(store_path: Path | None, as_json: bool) -> int:
    """Check store, providers, calendar, clock and disk; exit code 3 for a warning, 4 for a failure."""
    from service.cli.output import print_json
    from service.doctor import examine
    from service.settings import load_settings

    settings = load_settings()
    findings = []
    for finding in examine(store_path or Path(settings.store), settings):
        findings.append({"check": finding.check, "status": finding.status, "message": finding.message})
        if not as_json:
            click.echo(f"{finding.status:<5}{finding.check:<10} {finding.message}")
    if as_json:
        print_json({"checks": findings})
    found = {finding["status"] for finding in findings}
    return EXIT_FAILED if "fail" in found else EXIT_PARTIAL if "warn" in found else EXIT_OK


@cli.command()
@shared
def freshness(store_path: Path | None, as_json: bool) -> int:
    """Show how many trading days the newest price lies behind the last batch that was due."""
    from dataclasses import asdict

    from service.cli.output import print_fields, print_json
    from service.cli.resources import opened
    from service.freshness import freshness as fresh

    with opened(store_path) as (store, settings):
        answer = asdict(fresh(store, settings))
    answer["next_expected_update"] = answer["next_expected_update"].isoformat()
    if as_json:
        print_json(answer)
    else:
        print_fields("Freshness", answer)
    return EXIT_OK
