"""The SQL page: in a browser, without scripts, and only for those who may."""

import io
from pathlib import Path

import polars as pl
import pytest
from browsers import keep_pictures, visiting
from service_process import serving

from service.sql_queries import EXAMPLES
from storage import confinement
from storage.schemas import TABLES

pytestmark = pytest.mark.skipif(not confinement.is_available(), reason="no Landlock in this kernel")

QUERY = "SELECT symbol, count(*) AS n, NULL AS nothing FROM prices GROUP BY symbol ORDER BY symbol"


@pytest.fixture(scope="module")
def url(store):
    """A service that needs no key, for nobody has one."""
    with serving(store, RIDGELINE_SQL_PAGE="true") as url:
        yield url


def fill(page, query):
    page.goto("/sql")
    page.get_by_label("Query").fill(query)


def test_rows_as_a_table_and_as_files(browser, url):
    with visiting(browser, url) as page:
        fill(page, QUERY)
        page.get_by_label("Query").press("Control+Enter")
        page.get_by_role("heading", name="rows").wait_for()
        region = page.get_by_role("region", name="Rows of the query")
        assert region.locator("thead th").all_inner_texts() == ["symbol", "n", "nothing"]
        shown = [row.split("\t") for row in region.locator("tbody tr").all_inner_texts()]
        assert shown[0][2] == "null"
        for label, read in (("CSV", pl.read_csv), ("Parquet", pl.read_parquet)):
            with page.expect_download() as download:
                page.get_by_role("button", name=f"Download {label}").click()
            frame = read(io.BytesIO(Path(download.value.path()).read_bytes()))
            assert [[name, str(n)] for name, n, _ in frame.rows()] == [row[:2] for row in shown]


def test_what_is_refused_is_said_beside_the_query(browser, url):
    with visiting(browser, url) as page:
        fill(page, "COPY prices TO '/tmp/out.csv'")
        page.get_by_role("button", name="Run").click()
        assert "COPY is not allowed" in page.get_by_role("alert").inner_text()
        box = page.get_by_label("Query")
        assert box.input_value() == "COPY prices TO '/tmp/out.csv'"
        assert box.get_attribute("aria-invalid") == "true"


def test_examples_and_tables(browser, url):
    with visiting(browser, url, java_script_enabled=False) as page:
        page.goto("/sql")
        for name, table in TABLES.items():
            assert (
                table.comment
                in page.locator("details", has=page.locator(f"summary code:text-is('{name}')")).inner_text()
            )
        page.locator("summary", has_text="symbol_metrics").click()
        columns = page.get_by_role("region", name="Columns of symbol_metrics")
        assert TABLES["symbol_metrics"].columns[-1].comment in columns.inner_text()
        for title, query in EXAMPLES:
            page.get_by_role("link", name=title).click()
            assert page.get_by_label("Query").input_value() == query
            page.get_by_role("button", name="Run").click()
            assert page.get_by_role("alert").count() == 0
            page.locator("#found").wait_for()


def test_more_rows_than_a_page_shows(browser, url):
    with visiting(browser, url) as page:
        fill(page, "SELECT '<b>' || range AS text FROM range(10001)")
        page.get_by_role("button", name="Run").click()
        page.get_by_role("heading", name="10,000 rows").wait_for()
        assert "has more rows" in page.locator(".notice").inner_text()
        assert page.get_by_role("region", name="Rows of the query").locator("tbody tr").count() == 200
        assert page.locator("td").nth(3).inner_text() == "<b>3"


def test_everybody_can_use_it(browser, url):
    with visiting(browser, url) as page:
        page.goto("/sql")
        assert keep_pictures(page, "sql") == []
        for name, query in (("rows", QUERY), ("refused", QUERY + " LIMT 3")):
            fill(page, query)
            page.get_by_role("button", name="Run").click()
            page.locator("#found, [role=alert]").wait_for()
            assert keep_pictures(page, f"sql-{name}") == []
