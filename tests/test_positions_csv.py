"""Positions from a CSV: what a row is taken for, and every problem of a file at once."""

from pathlib import Path

import pytest

from service.errors import InputError
from service.positions_csv import read_positions

HEADER = "Symbol,Quantity,Entry Price Per Share,Entry Date"
OPTION = "Underlying Symbol,Strike Price,Expiration Date,Option Type"
CLASS = "Investment Class,Investment Subtype"


@pytest.fixture
def write(tmp_path: Path):
    def written(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "positions.csv"
        path.write_bytes("\n".join(lines).encode(encoding))
        return path

    return written


def problems(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_positions(path)
    return str(caught.value).splitlines()[1:]


def test_lots_are_read_in_order_and_closed_ones_left_out(write):
    read = read_positions(
        write(
            f"{HEADER},Exit Date",
            "brk.b, 10 ,250.50,2024-01-02,",
            "SPY,-2.5,400,2024-01-03,2024-02-01",
            "BRK.B,-4.000001,260,2024-01-04,",
        )
    )
    assert read.symbols == ("BRK.B", "BRK.B")
    assert read.quantity.tolist() == [10.0, -4.000001]
    assert read.entry_price.tolist() == [250.5, 260.0]


@pytest.mark.parametrize(
    ("row", "symbol", "kind"),
    [
        ("AAPL,1,2,2024-01-02,,,,,,", "AAPL", "public"),
        ("AAPL,1,2,2024-01-02,private,hedge_fund,,,,", "AAPL", "private"),
        ("CASH_USD,1,1,2024-01-02,,,,,,", "CASH_USD", "cash"),
        ("VMFXX,1,1,2024-01-02,PUBLIC,CASH,,,,", "VMFXX", "cash"),
        ("AAPL241220C00170000,1,2,2024-01-02,,,,,,", "AAPL241220C00170000", "option"),
        ("MYCALL,1,2,2024-01-02,,,AAPL,,,", "MYCALL", "option"),
        ("MYCALL,1,2,2024-01-02,,,,,,CALL", "MYCALL", "public"),
        (",1,2,2024-01-02,,,aapl,172.5,2024-12-20,put", "AAPL241220P00172500", "option"),
    ],
)
def test_what_a_row_is(write, row, symbol, kind):
    read = read_positions(write(f"{HEADER},{CLASS},{OPTION}", row))
    assert (read.symbols, read.kinds) == ((symbol,), (kind,))


def test_spelling_of_the_file_does_not_matter(write):
    read = read_positions(
        write(
            "# a comment",
            "",
            ",,,,",
            " entry date ,QUANTITY,Note,symbol,Entry Price Per Share\r",
            "  # another",
            '2024-01-02,1,"a, b",AAPL,2.5\r',
            ",,,,",
            encoding="utf-8-sig",
        )
    )
    assert (read.symbols, read.entry_price.tolist()) == (("AAPL",), [2.5])


def test_all_problems_are_named_at_once_with_their_rows(write):
    path = write(
        f"{HEADER},{CLASS},{OPTION},Exit Date",
        "A B,0,-1,2024-1-2,WHAT,,,,,,",
        "# not counted",
        ",,,,,,,,,,",
        "AAPL,nan,1e999,2024-W01-1,,,,,,,soon",
        ",1,2,2024-01-02,,,TOOLONGER,-5,,STRADDLE,",
        ",1,2,2024-01-02,,,,,,,",
    )
    named = [line.split(":")[0] for line in problems(path)]
    assert named == [
        *(f"row 2, {name}" for name in (*HEADER.split(","), "Investment Class")),
        *(f"row 4, {name}" for name in (*HEADER.split(",")[1:], "Exit Date")),
        *(f"row 5, {name}" for name in OPTION.split(",")),
        "row 6, Symbol",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([""], "empty"),
        (["# only a comment"], "empty"),
        ([HEADER], "no data rows"),
        (["Symbol,Quantity", "A,1"], "no column Entry Price Per Share, Entry Date"),
        ([HEADER, "A,1,2,2024-01-02,5"], "row 2 has 5 cells, the header 4"),
        ([HEADER, 'A,1,2,"2024-01-02'], "not a CSV file"),
    ],
)
def test_a_file_that_is_no_table_of_positions(write, lines, message):
    with pytest.raises(InputError, match=message):
        read_positions(write(*lines))


def test_bytes_that_are_not_utf_8_and_files_that_are_not_there(write, tmp_path):
    with pytest.raises(InputError, match="not UTF-8 at byte"):
        read_positions(write(HEADER, "# Straße", "A,1,2,2024-01-02", encoding="latin-1"))
    with pytest.raises(InputError, match="No such file"):
        read_positions(tmp_path / "none.csv")
    with pytest.raises(InputError, match="directory"):
        read_positions(tmp_path)
