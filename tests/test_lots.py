"""Lots as the engine values them, and files of them."""

from datetime import date

import pytest

from service.csv_import.parsing import parse_positions
from service.errors import InputError
from service.lots import kind_of, open_lots, positions_of
from service.portfolio_view import read_positions

TODAY = date(2026, 11, 23)
HEADER = "Symbol,Quantity,Entry Price Per Share,Entry Date"
CLASS = "Investment Class,Investment Subtype"
OPTION = "Underlying Symbol,Strike Price,Expiration Date,Option Type"


def parse(*lines):
    return parse_positions("\n".join(lines).encode(), "x.csv", today=TODAY)


@pytest.mark.parametrize(
    ("row", "symbol", "kind"),
    [
        ("AAPL,1,2,2024-01-02,,,,,,", "AAPL", "public"),
        ("AAPL,1,2,2024-01-02,private,hedge_fund,,,,", "AAPL", "private"),
        ("CASH_USD,1,1,2024-01-02,,,,,,", "CASH_USD", "cash"),
        ("VMFXX,1,1,2024-01-02,PUBLIC,CASH,,,,", "VMFXX", "cash"),
        ("AAPL241220C00170000,1,2,2024-01-02,,,,,,", "AAPL241220C00170000", "option"),
        ("MYCALL,1,2,2024-01-02,,,,,,CALL", "MYCALL", "public"),
        (",1,2,2024-01-02,,,aapl,172.5,2024-12-20,put", "AAPL241220P00172500", "option"),
    ],
)
def test_what_a_lot_is(row, symbol, kind):
    (lot,) = parse(f"{HEADER},{CLASS},{OPTION}", row)
    assert (lot.symbol, kind_of(lot)) == (symbol, kind)


def test_open_lots_as_columns():
    lots = parse(
        f"{HEADER},Exit Date",
        "brk.b, 10 ,250.50,2024-01-02,",
        "SPY,-2.5,400,2024-01-03,2024-02-01",
        "HARBOR,-4.000001,260,2024-01-04,",
    )
    positions = positions_of(open_lots(lots), {1: 300.0})
    assert positions.symbols == ("BRK.B", "HARBOR")
    assert positions.quantity.tolist() == [10.0, -4.000001]
    assert positions.entry_price.tolist() == [250.5, 260.0]
    assert positions.manual_price.tolist()[1] == 300.0


def test_files_that_cannot_be_read(tmp_path):
    latin = tmp_path / "latin.csv"
    latin.write_bytes(f"{HEADER}\n# Straße\nA,1,2,2024-01-02".encode("latin-1"))
    for path, message in ((latin, "UTF-8"), (tmp_path / "none.csv", "No such file"), (tmp_path, "directory")):
        with pytest.raises(InputError, match=message) as caught:
            read_positions(path, today=TODAY)
        assert str(path) in str(caught.value)
