"""A portfolio's page: the numbers of the HTTP interface, its charts and their tables, files, and a report."""

import io
import re
import subprocess
from pathlib import Path
from shutil import copytree

import httpx
import polars as pl
import pytest
from accessibility import faults_of, focus_order
from browsers import keep_pictures, visiting
from owners import NOBODY, NOON
from service_process import COMMAND, processor_seconds, serving, upload

from service.pages.formats import money, points
from service.pages.views import DRAWINGS

DATA = Path(__file__).parents[1] / "data"
SAMPLE = (DATA / "sample_portfolio.csv").read_text()
HEADER = "Symbol,Quantity,Entry Price Per Share,Entry Date\n"
PAGES = ("", "/setup", "/charts/stress.svg", "/export/csv", "/what-if", "/report", "/stress/market_down_5")


@pytest.fixture(scope="module")
def path(sample_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "store"
    copytree(sample_store, path)
    return path


@pytest.fixture(scope="module")
def url(path):
    with serving(path, RIDGELINE_NY_TIME=NOON) as url:
        yield url


@pytest.fixture(scope="module")
def client(url):
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def here(client):
    """The page of the sample portfolio."""
    made = upload(client, SAMPLE, portfolio_name="Sample", equity_balance="1000000").json()
    return f"/portfolios/{made['portfolio_id']}"


@pytest.fixture(scope="module")
def big(client):
    """The page of a portfolio of 500 lots."""
    symbols = pl.read_csv(DATA / "sample_prices.csv")["symbol"].unique().sort().to_list()
    lots = [
        f"{symbol},{10 + n},{50 + n}.25,2024-{1 + n // 28:02d}-{1 + n % 28:02d}\n"
        for symbol in symbols
        for n in range(500 // len(symbols))
    ]
    made = upload(client, HEADER + "".join(lots), account_name="Big", equity_balance="90000000").json()
    assert made["total_positions"] == 500
    return f"/portfolios/{made['portfolio_id']}"


def amount(text):
    return int(re.sub("[,+]", "", text).replace("−", "-"))


def overview_of(client, here):
    return client.get(f"/api/v1/analytics/portfolio/{here.rpartition('/')[2]}/overview").json()


def test_the_page_has_the_numbers_of_the_interface(client, here):
    text, overview = client.get(here).text, overview_of(client, here)
    figures = dict(re.findall(r"<dt>(.+?)</dt><dd>(.+?)</dd>", text))
    assert figures["Net asset value"] == money(overview["net_asset_value"]) == "1,000,000"
    assert figures["Cash"] == money(overview["cash_balance"])
    short = overview["exposures"]
    assert (
        figures["Short"]
        == f"{money(short['short_exposure'])} <small>{points(short['short_percentage'])}</small>"
    )
    assert f"As of {overview['as_of']}" in text
    assert '<span class="mono">NOSUCH</span>: unknown symbol' in text


def test_every_chart_is_drawn_in_both_modes_and_stands_beside_its_table(browser, url, here):
    for scheme in ("light", "dark"):
        with visiting(browser, url, scheme=scheme) as page:
            page.goto(here, wait_until="networkidle")
            images = page.locator("figure img")
            assert images.count() == len(DRAWINGS) == 8
            for n in range(8):
                widths = images.nth(n).evaluate("image => [image.naturalWidth, image.currentSrc]")
                assert widths[0] > 300
                assert ("mode=dark" in widths[1]) == (scheme == "dark")
                assert "As of 2024-06-28" in images.nth(n).get_attribute("alt")
            for figure in page.locator("figure").all():
                assert figure.locator("details table tbody tr").count() > 2


def test_a_chart_is_drawn_once_until_the_portfolio_changes(client, here):
    first = client.get(f"{here}/charts/sectors.svg")
    assert first.headers["content-type"] == "image/svg+xml"
    again = client.get(f"{here}/charts/sectors.svg", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"{here}/charts/sectors.svg").content == first.content
    assert client.get(f"{here}/charts/other.svg").status_code == 404
    assert client.get(f"{here}/charts/sectors.svg?mode=pink").status_code == 400


def test_500_lots_are_rendered_quickly_and_weigh_little(browser, url, client, big):
    took = []
    for n in range(3):  # a new equity makes everything anew
        portfolio_id = big.rpartition("/")[2]
        client.put(f"/api/v1/portfolios/{portfolio_id}", json={"equity_balance": 90_000_001 + n})
        start = processor_seconds(url.pid)
        answer = client.get(big)
        took.append(processor_seconds(url.pid) - start)
    assert answer.text.count("<tr data-kind") == 500
    assert sorted(took)[1] <= 0.3
    with visiting(browser, url) as page:
        page.goto(big, wait_until="networkidle")
        loaded = page.evaluate(
            "['navigation', 'resource'].flatMap(kind => performance.getEntriesByType(kind))"
            ".map(each => [each.name, each.transferSize])"
        )
        assert sum("/charts/" in name and size > 0 for name, size in loaded) == 8
        assert sum(size for _, size in loaded) <= 300_000
        assert faults_of(page) == []


def test_lots_are_filtered_with_and_without_scripts(browser, url, here):
    with visiting(browser, url) as page:
        page.goto(here)
        rows = page.locator("#lots tbody tr:visible")
        assert rows.count() == 13
        page.get_by_label("Symbol or sector").fill("spy")
        assert page.locator("#shown").inner_text() == "2 of 13 lots"
        assert rows.count() == 2
        page.get_by_label("Symbol or sector").fill("")
        page.get_by_label("Quality").select_option("unavailable")
        assert rows.all_inner_texts()[0].startswith("NOSUCH")
    with visiting(browser, url, java_script_enabled=False) as page:
        page.goto(here)
        page.get_by_label("Quality").select_option("degraded")
        page.get_by_label("Kind").select_option("private")
        page.get_by_role("button", name="Filter").click()
        page.wait_for_url("**kind=private**")  # and until all of it is there
        assert page.locator("#lots tbody tr").count() == 1
        assert page.locator("#shown").inner_text() == "1 of 13 lots"


def test_what_is_behind_a_scenario_adds_up(browser, url, here):
    with visiting(browser, url) as page:
        page.goto(here)
        page.get_by_text("Table, and what is behind each scenario").click()
        page.get_by_role("link", name="Financial Crisis 2008").click()
        page.get_by_role("heading", name="Financial Crisis 2008").wait_for()

        impact = amount(page.locator(".figure dd").first.inner_text().split()[0])
        by_factor, by_symbol = (
            [amount(text) for text in page.locator(f"{section} td.n").all_inner_texts() if text != "n/a"]
            for section in ("section:nth-child(1)", "section:nth-child(2)")
        )
        assert sum(by_factor) == pytest.approx(impact, abs=len(by_factor))
        assert sum(by_symbol) == pytest.approx(impact, abs=len(by_symbol))
        assert impact < -10_000


def test_trades_are_tried_and_mistakes_are_named(browser, url, client, here):
    before = overview_of(client, here)
    with visiting(browser, url) as page:
        page.goto(here)
        page.get_by_label("Trades at the book's closes").fill("SPY=-900, NOPE=1")
        page.get_by_role("button", name="Show what changes").click()
        page.get_by_role("heading", name="Factor betas").wait_for()
        assert "NOPE (unknown symbol)" in page.locator(".notice").inner_text()
        row = page.get_by_role("row", name="Short ")
        cells = [amount(text) for text in row.locator("td").all_inner_texts()]
        assert cells[1] - cells[0] == pytest.approx(cells[2], abs=1)
        assert cells[2] < 0
        assert faults_of(page) == []
        page.get_by_label("Trades at the book's closes").fill("SPY")
        page.get_by_role("button", name="Show what changes").click()
        assert "'SPY' is no trade; write SYMBOL=QUANTITY" in page.get_by_role("alert").inner_text()
        assert faults_of(page) == []
    for wrong in ("equity=-5", "equity=x", "trades=" + "SPY%3D1+" * 201):
        assert client.get(f"{here}/what-if?trades=SPY%3D1&{wrong}").status_code == 400
    assert overview_of(client, here) == before


def test_files_hold_what_the_page_shows(client, here):
    csv = pl.read_csv(client.get(f"{here}/export/csv").content)
    parquet = pl.read_parquet(io.BytesIO(client.get(f"{here}/export/parquet").content))
    document = client.get(f"{here}/export/json").json()
    assert parquet["symbol"].to_list() == csv["symbol"].to_list()
    assert len(parquet) == len(document["positions"]) == 13
    overview = overview_of(client, here)
    listed = parquet.filter(pl.col("kind") != "cash")["market_value"].sum()
    assert listed == pytest.approx(overview["total_value"])
    assert document["overview"]["net_asset_value"] == overview["net_asset_value"]
    answer = client.get(f"{here}/export/csv")
    assert re.search(r'filename="ridgeline_\w{8}_2024-06-28\.csv"', answer.headers["content-disposition"])
    assert client.get(f"{here}/export/xlsx").status_code == 404


def test_a_report_is_one_file_that_loads_nothing(browser, path, client, here, tmp_path):
    file = tmp_path / "report.html"
    portfolio_id = here.rpartition("/")[2]
    command = [*COMMAND, "portfolio", "report", portfolio_id, "-o", file, "--store", path]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
    served = client.get(f"{here}/report")
    assert "attachment" in served.headers["content-disposition"]
    for text in (file.read_text(), served.text):
        assert text.count("<svg") == 8
        assert set(re.findall(r"https?://[^\"'< )]+", text)) == {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
        }
    with visiting(browser, None) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        assert page.locator("svg[role=img]").count() == 8
        assert asked == [file.as_uri()]
        assert faults_of(page) == []


def test_nobody_finds_what_is_not_theirs(client, here):
    for page in PAGES:
        assert client.get(f"/portfolios/{NOBODY}{page}").status_code == 404, page
        assert client.get(f"{here}{page}").status_code == 200, page


def test_the_keyboard_reaches_everything_in_order(browser, url, here):
    with visiting(browser, url) as page:
        page.goto(here)
        pages = page.locator("nav a").all_inner_texts()
        order = focus_order(page, 2 + len(pages) + 5)
        files = ["Report", "CSV", "Parquet", "JSON", "Set-up"]
        assert [name for name, _ in order] == ["Skip to the content", "ridgeline", *pages, *files]
        assert all(outlined for _, outlined in order)
        page.goto(here)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"


def test_a_portfolio_before_the_first_batch(browser, tmp_path):
    with serving(tmp_path / "store") as url, httpx.Client(base_url=url) as client:
        made = upload(client, SAMPLE).json()
        with visiting(browser, url) as page:
            page.goto(f"/portfolios/{made['portfolio_id']}")
            assert page.get_by_text("No session has been computed yet").is_visible()
            page.goto("/")
            assert faults_of(page) == []
            page.goto("/onboarding")
            assert page.get_by_text("No session has been computed yet").is_visible()


@pytest.mark.parametrize(
    ("name", "path_of"),
    [
        ("portfolio", "{here}"),
        ("scenario", "{here}/stress/market_down_5"),
        ("what-if", "{here}/what-if?trades=SPY%3D-900+TLT%3D200"),
        ("portfolios", "/"),
        ("onboarding", "/onboarding"),
        ("error", "{here}/stress/nothing"),
    ],
)
def test_pictures(browser, url, here, name, path_of):
    with visiting(browser, url) as page:
        page.goto(path_of.format(here=here))
        assert keep_pictures(page, name) == []
