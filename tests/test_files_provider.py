"""What the files provider reads, and which file, row and column it names when it refuses."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from service.errors import InputError
from service.providers import files

COLUMNS = ["symbol", "session", "open", "high", "low", "close", "adj_close", "volume", "source"]
GOOD = "date,symbol,close\n2024-05-30,AAA,10\n2024-05-31,AAA,11.5\n"


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(text: str | bytes) -> Path:
        path = tmp_path / "given.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_a_minimal_file(csv) -> None:
    prices = files.read_prices(csv(GOOD))
    assert prices.columns == COLUMNS
    assert prices.select("symbol", "session", "close", "source").rows() == [
        ("AAA", date(2024, 5, 30), 10.0, "files"),
        ("AAA", date(2024, 5, 31), 11.5, "files"),
    ]
    missing = prices.select("open", "high", "low", "adj_close", "volume")
    assert set(missing.dtypes) == {pl.Float64}
    assert missing.null_count().row(0) == (2,) * 5


@pytest.mark.parametrize(
    "text",
    [
        "﻿" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("date,symbol,close", " Date , SYMBOL,Close "),
        GOOD.replace("AAA", " aaa "),
        'date,symbol,close\n"2024-05-30","AAA","10"\n2024-05-31,AAA, 11.5 \n',
        "close,note,symbol,date\n10,x,AAA,2024-05-30\n11.5,,AAA,2024-05-31\n",
        GOOD + ",,\n",
        GOOD + "\n  \n",
        GOOD.replace("close\n", "close,volume\n").replace("0\n", "0,\n").replace("5\n", "5,\n"),
        GOOD.replace("date,", "Session,"),
        "session,date,symbol,close\n2024-05-30, 2024-05-30,AAA,10\n2024-05-31,2024-05-31,AAA,11.5\n",
    ],
)
def test_spellings_of_the_same_file(csv, text: str) -> None:
    expected = files.read_prices(csv(GOOD))
    assert files.read_prices(csv(text)).equals(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" \n \n", "no column date"),
        ("date,symbol,close\n", "no rows"),
        ("date,symbol\n2024-05-30,AAA\n", "no column close"),
        ("date,symbol,close,Close\n2024-05-30,AAA,1,2\n", "two columns have one name"),
        (GOOD + "2024-06-03,AAA,ten\n", "row 4, column close: 'ten' is not a number"),
        (
            GOOD + "2024-06-03,AAA,1e\n2024-06-03,AAA,x\n",
            r"row 4, column close: '1e' is not a number \(2 such",
        ),
        (GOOD + "06/03/2024,AAA,10\n", "row 4, column date: '06/03/2024' is not a date"),
        (GOOD + "2024-02-30,AAA,10\n", "row 4, column date: '2024-02-30' is not a date"),
        (GOOD + ",AAA,10\n", "row 4, column date: None is missing"),
        (GOOD + "2024-06-03,,10\n", "row 4, column symbol: None is missing"),
        (GOOD + "2024-06-03,A B,10\n", "row 4, column symbol: 'A B' is not"),
        (GOOD + f"2024-06-03,{'A' * 101},10\n", "row 4, column symbol"),
        (GOOD + "2024-06-03,AAA,10,extra\n", "row 4: expected 3 cells as in the header, found 4"),
        (GOOD + "2024-06-03,AAA,10,\n", "row 4: expected 3 cells as in the header, found 4"),
        (GOOD + "2024-06-03,AAA\n", "row 4: expected 3 cells as in the header, found 2"),
        (GOOD + ",,\n\n2024-06-03,AAA,1,234.5\n", "row 6: expected 3 cells as in the header, found 4"),
        (
            GOOD + '"2024-06-03",AAA,"1,5"\n2024-06-04,AAA\n',
            "row 5: expected 3 cells as in the header, found 2",
        ),
        (
            "\ufeff" + GOOD.replace("\n", "\r\n") + "2024-06-03\r\n",
            "row 4: expected 3 cells as in the header, found 1",
        ),
        (
            "date,symbol,close,volume\n2024-05-30,AAA,10,\n2024-05-31,AAA,10\n",
            "row 3: expected 4 cells as in the header, found 3",
        ),
        (GOOD.encode() + "2024-06-03,Ä,10\n".encode("latin-1"), "UTF-8"),
    ],
)
def test_what_is_wrong_is_named(csv, text: str | bytes, message: str) -> None:
    path = csv(text)
    with pytest.raises(InputError, match=message) as caught:
        files.read_prices(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2024-05-30,2024-05-31", r"row 3: .* date \(2024-05-31\) and session \(2024-05-30\) differ"),
        ("2024-05-30,", r"row 3: the columns date \(None\)"),
        (",2024-05-30", r"session \(None\) differ; keep one of the two"),
        ("2024-05-30,05/30/2024", "row 3, column date: '05/30/2024' is not a date"),
    ],
)
def test_a_date_and_a_session_must_agree(csv, row: str, message: str) -> None:
    path = csv(f"session,date,symbol,close,kind\n2024-05-29,2024-05-29,A,1,split\n{row},A,1,split\n")
    for read in (files.read_prices, files.read_actions):
        with pytest.raises(InputError, match=message):
            read(path)


def test_a_date_and_a_session_of_two_types_may_agree(tmp_path: Path) -> None:
    path, day = tmp_path / "both.parquet", date(2024, 5, 30)
    frame = pl.DataFrame({"date": [day], "session": ["2024-05-30"], "symbol": ["A"], "close": [1.0]})
    frame.write_parquet(path)
    assert files.read_prices(path)["session"].to_list() == [day]


def test_a_missing_price_is_left_to_the_checks(csv) -> None:
    assert files.read_prices(csv(GOOD + "2024-06-03,AAA,\n"))["close"].to_list() == [10.0, 11.5, None]


def test_a_folder_of_csv_and_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not data", encoding="utf-8")
    pl.DataFrame(
        {
            "date": [date(2024, 5, 31)],
            "symbol": ["BBB"],
            "close": pl.Series([0.1], dtype=pl.Float32),
            "adj_close": [5],
            "volume": [7],
        }
    ).write_parquet(tmp_path / "b.parquet")
    prices = files.read_prices(tmp_path)
    assert prices["symbol"].to_list() == ["AAA", "AAA", "BBB"]
    assert set(prices.select(files.NUMBERS).dtypes) == {pl.Float64}
    assert prices.row(2)[-4:] == (pytest.approx(0.1), 5.0, 7.0, "files")


@pytest.mark.parametrize("name", ["absent.csv", "empty", "prices.xlsx"])
def test_a_path_without_data(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "prices.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=name):
        files.read_prices(tmp_path / name)


def test_a_torn_parquet_and_a_column_of_another_kind(tmp_path: Path) -> None:
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"torn\.parquet: cannot be read"):
        files.read_prices(torn)
    odd = tmp_path / "odd.parquet"
    pl.DataFrame({"date": [date(2024, 5, 31)], "symbol": ["A"], "close": [[1.0]]}).write_parquet(odd)
    with pytest.raises(InputError, match="column close"):
        files.read_prices(odd)
    pl.DataFrame({"date": [20240531], "symbol": ["A"], "close": [1.0]}).write_parquet(odd)
    with pytest.raises(InputError, match="column date"):
        files.read_prices(odd)


def test_profiles(csv) -> None:
    text = "Symbol,Sector,Provider_Beta,as_of\nbrk.b,Financials,0.9,2024-01-02\nSPY,,,\n"
    profiles = files.read_profiles(csv(text), as_of=date(2024, 5, 31))
    assert profiles.select("symbol", "sector", "provider_beta", "as_of", "source").rows() == [
        ("BRK.B", "Financials", 0.9, date(2024, 1, 2), "files"),
        ("SPY", None, None, date(2024, 5, 31), "files"),
    ]
    with pytest.raises(InputError, match="row 4, column symbol: 'A' stands twice"):
        files.read_profiles(csv("symbol\nB\nA\na\n"), as_of=date(2024, 5, 31))


@pytest.mark.parametrize("column", ["provider_beta", "market_cap", "pe_ratio", "dividend_yield"])
def test_an_infinite_number_is_refused(csv, column: str) -> None:
    path = csv(f"symbol,{column}\nA,1\nB,-inf\n")
    with pytest.raises(InputError, match=f"row 3, column {column}: -inf is not a finite number"):
        files.read_profiles(path, as_of=date(2024, 5, 31))


def test_actions(csv) -> None:
    head = "symbol,date,kind,value,new_symbol\n"
    actions = files.read_actions(csv(head + "A,2024-05-31,split,2,\nB,2024-05-31,rename,,c\n"))
    assert actions.select("symbol", "session", "kind", "value", "new_symbol").rows() == [
        ("A", date(2024, 5, 31), "split", 2.0, None),
        ("B", date(2024, 5, 31), "rename", None, "C"),
    ]
    session = files.read_actions(csv("symbol,session,kind\nA,2024-05-31,delisting\n"))
    assert session["session"].to_list() == [date(2024, 5, 31)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("A,2024-05-31,merger,,", "row 2, column kind: 'merger' is none of"),
        ("A,2024-05-31,split,,", "row 2, column value: None must be above 0"),
        ("A,2024-05-31,dividend,-1,", "row 2, column value: -1.0 must be above 0"),
        ("A,2024-05-31,delisting,inf,", "row 2, column value: inf is not a finite number"),
        ("A,2024-05-31,rename,,", "row 2, column new_symbol: None"),
    ],
)
def test_actions_that_say_nothing(csv, row: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        files.read_actions(csv(f"symbol,date,kind,value,new_symbol\n{row}\n"))


def test_benchmark_weights_of_a_date_add_up(csv) -> None:
    head = "benchmark,as_of,sector,weight\nX,2024-01-02,Energy,0.4\n"
    assert files.read_benchmark(csv(head + "X,2024-01-02,Utilities,0.605\n"))["weight"].to_list() == [
        0.4,
        0.605,
    ]
    with pytest.raises(InputError, match=r"weights of X on 2024-01-02 add up to 0\.9000"):
        files.read_benchmark(csv(head + "X,2024-01-02,Utilities,0.5\n"))
    with pytest.raises(InputError, match="row 3, column weight: None is missing"):
        files.read_benchmark(csv(head + "X,2024-01-02,Utilities,\n"))
    with pytest.raises(InputError, match="row 3, column weight: inf is not a finite number"):
        files.read_benchmark(csv(head + "X,2024-01-02,Utilities,inf\n"))
