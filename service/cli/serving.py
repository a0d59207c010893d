"""Commands of the service: serve it, and the keys to it."""

from pathlib import Path

import rich_click as click

from service.cli.app import EXIT_OK, EXIT_PARTIAL, cli, shared


@cli.command()
@click.option("--host", help="Address to listen on; 127.0.0.1 by default.")
@click.option("--port", type=int, help="Port to listen on, 0 for a free one; 8000 by default.")
@shared
def serve(host: str | None, port: int | None, store_path: Path | None, as_json: bool) -> int:
    """Serve the HTTP interface until stopped."""
    import msgspec

    from service.cli.output import print_json
    from service.cli.resources import opened
    from service.serve import bind
    from service.serve import serve as run

    with opened(store_path, create=True) as (store, found):
        where = {"host": host or found.host, "port": found.port if port is None else port}
        settings = msgspec.structs.replace(found, **where)
        bound = bind(settings)
        address = f"http://{settings.host}:{bound.getsockname()[1]}"
        if as_json:
            print_json({"url": address, "store": str(store.path)})
        else:
            click.echo(f"ridgeline serves {store.path} at {address}")
        run(store, settings, bound)
    return EXIT_OK


@cli.group()
def keys() -> None:
    """Keys to the service."""


@keys.command("create")
@click.argument("name")
@click.option("--owner", default="local", show_default=True, help="Whose portfolios the key opens.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(("read", "write", "admin", "sql")),
    default=("read", "write"),
    show_default=True,
    help="What the key is good for; repeatable.",
)
@shared
def keys_create(
    name: str, owner: str, scopes: tuple[str, ...], store_path: Path | None, as_json: bool
) -> int:
    """Make a key and show it, this once."""
    from service.cli.output import print_json
    from service.cli.resources import opened

    with opened(store_path, create=True) as (store, _):
        key, secret = store.ledger.api_keys.create(owner, name, scopes)
    if as_json:
        print_json({"key_id": key.key_id, "owner": owner, "name": name, "scopes": scopes, "key": secret})
    else:
        click.echo(f"{secret}\nKey {key.key_id} of {owner} for {', '.join(scopes)}; it is not shown again.")
    return EXIT_OK


@keys.command("list")
@shared
def keys_list(store_path: Path | None, as_json: bool) -> int:
    """List all keys, without their secrets."""
    from dataclasses import asdict

    from service.cli.output import print_json, print_table
    from service.cli.resources import opened

    with opened(store_path) as (store, _):
        found = [asdict(key) for key in store.ledger.api_keys.of()]
    if as_json:
        print_json({"keys": found})
    else:
        columns = ("key_id", "owner", "name", "prefix", "scopes", "created_at", "last_used_at", "revoked_at")
        print_table("Keys", columns, [[key[column] for column in columns] for key in found])
    return EXIT_OK


@keys.command("revoke")
@click.argument("key_id")
@shared
def keys_revoke(key_id: str, store_path: Path | None, as_json: bool) -> int:
    """Let a key open nothing from now on."""
    from service.cli.output import print_json
    from service.cli.resources import opened

    with opened(store_path) as (store, _):
        store.ledger.api_keys.revoke(key_id)
    if as_json:
        print_json({"revoked": key_id})
    else:
        click.echo(f"revoked {key_id}")
    return EXIT_OK


@cli.group()
def symbols() -> None:
    """Symbols that portfolios hold and the store does not know yet."""


@symbols.command("process")
@click.argument("path", type=click.Path(path_type=Path), metavar="[PATH]", required=False)
@shared
def symbols_process(path: Path | None, store_path: Path | None, as_json: bool) -> int:
    """Fetch every symbol that waits, and compute the newest session.

    Prices come from PATH, a CSV or Parquet file or a folder of them, or from the configured providers.
    """
    from datetime import date

    from service import clock
    from service.cli.output import print_fields, print_json
    from service.cli.progress import TerminalProgress
    from service.cli.resources import opened
    from service.jobs.symbol_onboarding import process_symbols
    from service.providers.files import FilesSource
    from service.providers.sources import Sources, configured_sources

    with opened(store_path) as (store, settings), TerminalProgress() as progress:
        if path is None:
            done = process_symbols(store, settings, progress, configured_sources(settings))
        else:  # who brings a file means all of it
            sources, since = Sources(prices=FilesSource(path)), date(clock.FIRST_YEAR, 1, 1)
            done = process_symbols(store, settings, progress, sources, since=since)
    if as_json:
        print_json(done.as_dict())
    else:
        print_fields("Symbols", done.as_dict())
    return EXIT_PARTIAL if done.failed else EXIT_OK
