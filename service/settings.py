"""Settings: a TOML file, then the environment. The only place that reads the environment."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from service.errors import UsageError

PREFIX = "RIDGELINE_"
CONFIG = PREFIX + "CONFIG"
DEFAULT_CONFIG = "ridgeline.toml"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set. Each field is a key of the TOML file and ``RIDGELINE_<FIELD>``.

    Attributes
    ----------
    store : str
        Folder of the store.
    ledger : str or None
        URL of the database that holds the ledger, ``postgresql://user:password@host/name`` say; SQLite in the
        store when not given.
    backfill_sessions : int
        Sessions that one run of the batch computes at most, missed ones and those that prices made stale.
    coverage_threshold : float
        Share of the active symbols that must have a price before a session is computed.
    retention_hours : float
        Age from which ``ridgeline compact`` deletes files that no release names.
    half_life : int
        Sessions after which a weight of the factor covariance has halved.
    option_rate : float
        Continuous rate a year that options are priced with.
    session_close : str
        New York time from which a session counts as closed, ``HH:MM``; half an hour allows for late prints.
    ny_time : str or None
        A fixed New York time, ISO 8601, instead of the clock; for tests.
    host, port : str, int
        Where the service listens; beyond loopback only when somebody has a key.
    docs_url : str
        Where errors are documented: an answer's ``documentation_url`` is this, ``/errors/`` and its code.
    status_view : str
        Which onboarding status is answered when a request does not say: ``v1`` (rich) or ``v2`` (simple).
    release_seconds : float
        How often the service looks for a new release.
    request_seconds : float
        How long a request may take, its upload included.
    symbol_batch_seconds, portfolio_refresh_seconds : float
        How long a run of the job may take; one that takes longer has failed.
    snapshot_seconds : float
        How long the service waits, after the last portfolio that came in, to take their first snapshots.
    sql_page : bool
        Whether the scope ``sql`` opens the analysts' database to queries, all owners' portfolios included.
    """

    store: str = "data/store"
    ledger: str | None = None
    backfill_sessions: Annotated[int, Meta(ge=1)] = 30
    coverage_threshold: Annotated[float, Meta(ge=0, le=1)] = 0.8
    retention_hours: Annotated[float, Meta(ge=0, le=876_000)] = 168.0
    half_life: Annotated[int, Meta(ge=1)] = 42
    option_rate: Annotated[float, Meta(ge=-1, le=1)] = 0.04
    session_close: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "16:30"
    ny_time: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
    docs_url: str = "/docs"
    status_view: Literal["v1", "v2"] = "v1"
    release_seconds: Annotated[float, Meta(gt=0)] = 1.0
    request_seconds: Annotated[float, Meta(gt=0)] = 30.0
    symbol_batch_seconds: Annotated[float, Meta(gt=0)] = 1_500.0
    portfolio_refresh_seconds: Annotated[float, Meta(gt=0)] = 1_200.0
    snapshot_seconds: Annotated[float, Meta(gt=0)] = 2.0
    sql_page: bool = False


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; ``UsageError`` names a key that is unknown or has the wrong type."""
    given = os.environ if environment is None else environment
    path = Path(given.get(CONFIG, DEFAULT_CONFIG))
    values: dict[str, Any] = {}
    if path.is_file():
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: {error}; mend the file or name another in {CONFIG}") from error
    elif CONFIG in given:
        raise UsageError(f"{CONFIG} names {path}, which is no file")
    for name in Settings.__struct_fields__:
        if (key := PREFIX + name.upper()) in given:
            values[name] = given[key]
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"settings ({path} and {PREFIX}*): {error}") from error
