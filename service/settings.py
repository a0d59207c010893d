"""Settings: a TOML file, then the environment. The only place that reads the environment."""

import os
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from service.errors import UsageError

PREFIX = "RIDGELINE_"
CONFIG = PREFIX + "CONFIG"
DEFAULT_CONFIG = "ridgeline.toml"


Provider: TypeAlias = Literal["files", "simulated", "tiingo", "eodhd", "fmp", "massive", "yahoo"]
RATE = r"^[1-9]\d{0,8}/[1-9]?\d{0,8}(ms|s|min|h|d)$"


class ProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider: a table of the TOML file, ``[tiingo]`` say, and ``RIDGELINE_TIINGO_<FIELD>``.

    Attributes
    ----------
    key : str or None
        The key that the provider gave you.
    url : str or None
        Where it answers, when not at its usual address.
    rates : tuple of str
        Requests it allows, all of them at once: ``50/h``, ``1000/d``, ``5/min``, ``10/2s``; those of its free
        plan when not given.
    """

    key: str | None = None
    url: Annotated[str, Meta(pattern=r"^https?://")] | None = None
    rates: tuple[Annotated[str, Meta(pattern=RATE)], ...] = ()

    def __repr__(self) -> str:
        """Show everything but the key."""
        key = None if self.key is None else "…"
        return f"ProviderSettings(key={key!r}, url={self.url!r}, rates={self.rates!r})"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set. Each field is a key of the TOML file and ``RIDGELINE_<FIELD>``.

    In the environment a list is written with commas, ``tiingo,eodhd``.

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
    batch_time : str
        New York time at which the nightly batch of a session is due, ``HH:MM``; freshness counts from it.
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
    reference_seconds : float
        How long a run of the symbol batch fetches profiles, and as long again statements; the rest is left to
        the next.
    run_status_seconds : float
        How long a portfolio's own run of nine phases is its status after its end.
    log_days : float
        Age from which ``ridgeline compact`` and the night forget the lines that runs have logged.
    snapshot_seconds : float
        How long the service waits, after the last portfolio that came in, to take their first snapshots.
    alert_webhook_url : str or None
        Where alerts are posted as JSON, ``{"text": …}``; the error log has them when not given.
    providers : tuple of str
        Sources of prices, the first first: ``files``, ``simulated``, ``tiingo``, ``eodhd``, ``fmp``,
        ``massive``, ``yahoo``. A symbol that one does not deliver is asked of the next.
    prices_path : str or None
        What ``files`` reads: a CSV or Parquet file or a folder of them. When it is not given, ``files`` has
        nothing to fetch, and the store holds what ``ridgeline ingest`` brought in.
    profile_provider, fundamental_provider : str or None
        Source of company profiles, and of financial statements.
    provider_concurrency : int
        Requests that one provider is sent at a time.
    provider_seconds : float
        How long one provider may take for one symbol, all waiting and every try included.
    provider_request_seconds : float
        How long one request may stand still before it is tried again.
    tiingo, eodhd, fmp, massive, yahoo : ProviderSettings
        What to know of each.
    simulated_symbols, simulated_seed : int, int
        How many fictional symbols the simulated market has, and which of the possible markets it is.
    simulated_from, simulated_to : date, date
        Days between which it is simulated: what will happen is settled beforehand, with the corporate actions
        in the middle, and shown up to the newest closed session.
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
    batch_time: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "21:00"
    ny_time: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
    docs_url: str = "/docs"
    status_view: Literal["v1", "v2"] = "v1"
    release_seconds: Annotated[float, Meta(gt=0)] = 1.0
    request_seconds: Annotated[float, Meta(gt=0)] = 30.0
    symbol_batch_seconds: Annotated[float, Meta(gt=0)] = 1_500.0
    portfolio_refresh_seconds: Annotated[float, Meta(gt=0)] = 1_200.0
    reference_seconds: Annotated[float, Meta(ge=0)] = 300.0
    run_status_seconds: Annotated[float, Meta(ge=0)] = 7_200.0
    log_days: Annotated[float, Meta(gt=0, le=36_500)] = 90.0
    snapshot_seconds: Annotated[float, Meta(gt=0)] = 2.0
    alert_webhook_url: str | None = None
    providers: tuple[Provider, ...] = ("files",)
    prices_path: str | None = None
    profile_provider: Literal["fmp", "simulated"] | None = None
    fundamental_provider: Literal["fmp"] | None = None
    provider_concurrency: Annotated[int, Meta(ge=1, le=64)] = 5
    provider_seconds: Annotated[float, Meta(gt=0)] = 60.0
    provider_request_seconds: Annotated[float, Meta(gt=0)] = 15.0
    tiingo: ProviderSettings = ProviderSettings()
    eodhd: ProviderSettings = ProviderSettings()
    fmp: ProviderSettings = ProviderSettings()
    massive: ProviderSettings = ProviderSettings()
    yahoo: ProviderSettings = ProviderSettings()
    simulated_symbols: Annotated[int, Meta(ge=5, le=6_000)] = 500
    simulated_seed: Annotated[int, Meta(ge=0)] = 7
    simulated_from: date = date(2021, 1, 4)
    simulated_to: date = date(2030, 12, 31)
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
    values |= _from_environment(given, Settings, PREFIX, values)
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"settings ({path} and {PREFIX}*): {error}") from error


def _from_environment(
    given: Mapping[str, str], struct: type[msgspec.Struct], prefix: str, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Fields of a struct that the environment sets; those of a provider beside what the file says of it."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        key = prefix + field.name.upper()
        if field.type is ProviderSettings:
            table = values.get(field.name, {})
            if isinstance(table, dict) and (own := _from_environment(given, field.type, f"{key}_", table)):
                found[field.name] = table | own
        elif key in given:
            is_list = isinstance(field.default, tuple)
            found[field.name] = _items(given[key]) if is_list else given[key]
    return found


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
