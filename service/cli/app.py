"""Commands, shared options, and the one place where errors become messages and exit codes."""

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import rich_click as click
from click.exceptions import Abort, ClickException

from service.cli import interrupts

EXIT_OK, EXIT_USAGE, EXIT_PARTIAL, EXIT_FAILED, EXIT_LOCKED = 0, 2, 3, 4, 5
DATE = click.DateTime(["%Y-%m-%d"])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ridgeline")
def cli() -> None:
    """Portfolio analytics from a nightly, columnar symbol layer."""


@cli.group()
def batch() -> None:
    """The nightly symbol batch."""


@cli.group()
def refresh() -> None:
    """The nightly portfolio refresh."""


@cli.group()
def symbol() -> None:
    """What the store knows of one symbol."""


@cli.group()
def portfolio() -> None:
    """Portfolios composed from the symbol layer."""


def shared(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Give a command the options that every command has."""

    @click.option("--store", "store_path", type=click.Path(path_type=Path), help="Folder of the store.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
    @wraps(command)
    def with_options(*args: Any, **kwargs: Any) -> int | None:
        return command(*args, **kwargs)

    return with_options


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on arguments; returns the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        for module in ("data", "jobs", "batches", "nightly", "refreshes", "views", "portfolios", "serving"):
            import_module(f"service.cli.{module}")  # which adds its commands
        code: int | None = cli.main(given, prog_name="ridgeline", standalone_mode=False)
    except ClickException as error:
        if "--json" in given:
            _print_error("usage", error.format_message())
        error.show()
        return EXIT_USAGE
    except (Abort, KeyboardInterrupt, interrupts.Stopped):
        return interrupts.say_so()
    except Exception as error:
        if interrupts.was_stopped():
            return interrupts.say_so()
        return _report(error, as_json="--json" in given)
    return code or EXIT_OK


def _report(error: Exception, *, as_json: bool) -> int:
    """Say what went wrong on stderr, as JSON on stdout too when asked; a bug keeps its traceback."""
    from service.errors import exit_code_of, name_of

    code = exit_code_of(error)
    if code is None:
        raise error
    if as_json:
        _print_error(name_of(error), str(error))
    click.echo(f"ridgeline: {error}", err=True)
    return code


def _print_error(code: str, message: str) -> None:
    from service.cli.output import print_json

    print_json({"error": {"code": code, "message": message}})
