"""Settings come from a file, then from the environment, and say what is wrong with them."""

from pathlib import Path

import pytest

from service.errors import UsageError
from service.settings import ProviderSettings, Settings, load_settings


def config(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "ridgeline.toml"
    path.write_text(text, encoding="utf-8")
    return {"RIDGELINE_CONFIG": str(path)}


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({}) == Settings()


def test_the_file_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config(tmp_path, 'store = "elsewhere"')
    monkeypatch.chdir(tmp_path)
    assert load_settings({}).store == "elsewhere"


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    given = config(tmp_path, 'store = "a"\nhalf_life = 21\n')
    settings = load_settings({**given, "RIDGELINE_STORE": "b", "RIDGELINE_COVERAGE_THRESHOLD": "0.5"})
    assert (settings.store, settings.half_life, settings.coverage_threshold) == ("b", 21, 0.5)
    assert settings.ledger is None
    assert (
        load_settings({"RIDGELINE_LEDGER": "postgresql://here/ledger"}).ledger == "postgresql://here/ledger"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stor = 1", "stor"),
        ('half_life = "soon"', "half_life"),
        ("half_life = 1.5", "half_life"),
        ("half_life =", "mend the file"),
        ('session_close = "late"', "session_close"),
        ("coverage_threshold = 80", "coverage_threshold"),
        ("backfill_sessions = 0", "backfill_sessions"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_settings(config(tmp_path, text))


def test_a_wrong_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="half_life"):
        load_settings({"RIDGELINE_HALF_LIFE": "soon"})


def test_a_named_file_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no file"):
        load_settings({"RIDGELINE_CONFIG": str(tmp_path / "none.toml")})


def test_providers_come_from_tables_and_from_the_environment(tmp_path: Path) -> None:
    given = config(tmp_path, 'providers = ["tiingo"]\n[tiingo]\nkey = "a"\nrates = ["5/s", "10/2min"]\n')
    settings = load_settings(given)
    assert settings.tiingo == ProviderSettings(key="a", rates=("5/s", "10/2min"))
    settings = load_settings(
        {
            **given,
            "RIDGELINE_TIINGO_KEY": "b",
            "RIDGELINE_PROVIDERS": "tiingo, fmp",
            "RIDGELINE_FMP_RATES": "9/d",
        }
    )
    assert settings.tiingo == ProviderSettings(key="b", rates=("5/s", "10/2min"))
    assert (settings.providers, settings.fmp.rates) == (("tiingo", "fmp"), ("9/d",))
    assert "'b'" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('providers = ["bloomberg"]', "bloomberg"),
        ("tiingo = 1", "tiingo"),
        ("[fmp]\napikey = 'a'", "apikey"),
        ("[fmp]\nrates = ['many/h']", "rates"),
        ("[fmp]\nurl = 'ftp://here'", "url"),
    ],
)
def test_a_wrong_provider_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_settings({**config(tmp_path, text), "RIDGELINE_TIINGO_KEY": "b"})
