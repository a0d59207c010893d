"""Real vendor errors: bad ticks are set aside, real jumps kept, and other symbols never notice."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from service.cli.app import EXIT_PARTIAL, run
from storage.store import open_store

FILE = Path(__file__).resolve().parents[2] / "shared" / "data" / "real_prices_with_errors.parquet"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"the real vendor errors are not here: {FILE}")
BAD = {
    ("AVB", date(2010, 9, 16)),
    ("AVB", date(2012, 12, 21)),
    ("SLG", date(2014, 3, 4)),
    ("EIX", date(2012, 3, 8)),
    ("EIX", date(2012, 3, 22)),
    ("PXD", date(2013, 8, 5)),
}
JUMPS = {("VRTX", date(2012, 5, 7)), ("VRTX", date(2013, 4, 19))}
SPAN = ["backfill", "--from", "2012-03-01", "--to", "2012-05-31"]


def computed(path, file):
    """A store of the file with three months around EIX's bad ticks computed."""
    assert run(["ingest", str(file), "--store", str(path)]) == 0
    assert run([*SPAN, "--store", str(path)]) == EXIT_PARTIAL
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return computed(tmp_path_factory.mktemp("errors") / "store", FILE)


def test_bad_ticks_are_quarantined_with_a_reason(store):
    with open_store(store) as opened:
        quarantine = opened.read("quarantine").filter(pl.col("field") == "close")
        prices = opened.read("prices", columns=["symbol", "session"])
    assert set(quarantine.select("symbol", "session").iter_rows()) == BAD
    assert set(quarantine["reason"]) == {"tick_off_by_0.1x", "tick_off_by_0.01x"}
    assert not BAD & set(prices.iter_rows())


def test_real_jumps_are_kept_and_flagged(store):
    with open_store(store) as opened:
        rows = opened.read("prices", symbols=["VRTX"]).filter(pl.col("quality") == "suspect")
    assert set(rows.select("symbol", "session").iter_rows()) == JUMPS


def test_other_symbols_do_not_notice_to_the_last_bit(store, tmp_path):
    """The same file without EIX: everybody else's betas have the same bits."""
    without = tmp_path / "without.parquet"
    pl.read_parquet(FILE).filter(pl.col("symbol") != "EIX").write_parquet(without)
    with open_store(store) as whole, open_store(computed(tmp_path / "store", without)) as cut:
        one, other = (
            opened.read("symbol_factors")
            .filter(pl.col("symbol") != "EIX")
            .sort("symbol", "session", "factor")
            for opened in (whole, cut)
        )
    assert one.height > 3000
    assert one.equals(other)


def test_without_the_other_proxies_market_betas_come_and_the_rest_says_why(store):
    with open_store(store) as opened:
        factors = opened.read("symbol_factors").filter(pl.col("symbol") == "PXD")
    market = factors.filter(pl.col("factor_set") == "market")
    rest = factors.filter(pl.col("factor_set") != "market")
    assert market["beta"].null_count() == 0
    assert rest["beta"].null_count() == rest.height > 0
    assert set(rest["reasons"]) == {"missing_proxy"}
