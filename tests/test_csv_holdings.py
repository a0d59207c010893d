"""Holdings exports of brokers, known by their headers."""

from datetime import date
from decimal import Decimal

import pytest

from service.csv_import.errors import CsvRefused
from service.csv_import.parsing import parse_positions
from service.lots import kind_of

TODAY, AS_OF = date(2026, 11, 23), date(2026, 11, 20)
SCHWAB = """"Positions for account Individual ...123 as of 04:00 PM ET, 2026/11/20","","",""

"Symbol","Description","Qty (Quantity)","Price","Mkt Val (Market Value)","Day Chng %","Cost Basis","Type"
"AAPL","APPLE INC","100","$230.10","$23,010.00","-0.5%","$15,800.00","Equity"
"SPY","SPDR S&P 500","-20","$600.00","-$12,000.00","0.1%","-$9,000.00","ETFs & Closed End Funds"
"AAPL 01/15/2027 250.00 C","CALL APPLE INC","2","$12.00","$2,400.00","0.1%","$2,000.00","Option"
"Cash & Cash Investments","--","--","--","$1,234.56","0%","--","Cash and Money Market"
"Account Total","--","--","--","$14,644.56","0.1%","$8,800.00","--"
"""
FIDELITY_COLUMNS = (
    "Account Number,Account Name,Symbol,Description,Quantity,Last Price,Last Price Change,Current Value,"
    "Total Gain/Loss Dollar,Cost Basis Total,Average Cost Basis,Type"
)
FIDELITY = f"""{FIDELITY_COLUMNS}
X123,Individual,SPAXX**,HELD IN MONEY MARKET,,,,$2500.75,,,,Cash,
X123,Individual,MSFT,MICROSOFT CORP,10.5,$410.00,+$1.00,$4305.00,+$1050.00,$3255.00,$310.00,Margin,
X123,Individual, -AAPL270115C250,AAPL CALL,-1,$12.00,$0.1,-$1200.00,$0.00,$1000.00,$10.00,Margin,
X123,Individual,Pending Activity,,,,,-$150.00,,,,,

"The data and information in this spreadsheet is provided to you solely for your use."
"Date downloaded Nov-20-2026 5:00 p.m ET"
"""
PLAIN = """Ticker,Shares,Avg Cost,Purchase Date
IWM,30,"1,198.1234567",01/05/2024
tlt,-5,90,2024-03-01
"""


def parse(text, as_of=AS_OF):
    return parse_positions(text.encode(), "x.csv", today=TODAY, layout="auto", as_of=as_of)


def test_schwab():
    lots = parse(SCHWAB)
    assert [(lot.symbol, lot.quantity, lot.entry_price) for lot in lots] == [
        ("AAPL", Decimal(100), Decimal(158)),
        ("SPY", Decimal(-20), Decimal(450)),
        ("AAPL270115C00250000", Decimal(2), Decimal(10)),
        ("CASH_USD", Decimal("1234.56"), Decimal(1)),
    ]
    assert [kind_of(lot) for lot in lots] == ["public", "public", "option", "cash"]
    assert {lot.entry_date for lot in lots} == {AS_OF}


def test_fidelity():
    lots = parse(FIDELITY)
    assert [(lot.symbol, lot.quantity, lot.entry_price) for lot in lots] == [
        ("SPAXX", Decimal("2500.75"), Decimal(1)),
        ("MSFT", Decimal("10.5"), Decimal(310)),
        ("AAPL270115C00250000", Decimal(-1), Decimal(10)),
    ]
    assert [kind_of(lot) for lot in lots] == ["cash", "public", "option"]


def test_any_file_with_known_headers():
    lots = parse(PLAIN, as_of=None)
    assert [(lot.symbol, lot.quantity, lot.entry_price, lot.entry_date) for lot in lots] == [
        ("IWM", Decimal(30), Decimal("1198.123457"), date(2024, 1, 5)),
        ("TLT", Decimal(-5), Decimal(90), date(2024, 3, 1)),
    ]


def test_without_any_date_the_rows_are_refused():
    with pytest.raises(CsvRefused) as refused:
        parse(SCHWAB, as_of=None)
    assert {error.code for error in refused.value.errors} == {"ERR_POS_012"}
    assert len(refused.value.errors) == 4


def test_a_holding_without_a_cost_is_refused_by_name():
    with pytest.raises(CsvRefused) as refused:
        parse("Symbol,Quantity,Cost Basis\nAAPL,10,--\n")
    assert [(error.symbol, error.code) for error in refused.value.errors] == [("AAPL", "ERR_POS_008")]


def test_the_template_is_understood_as_well():
    (lot,) = parse("Symbol,Quantity,Entry Price Per Share,Entry Date\nAAPL,1,2.50,2024-01-05\n")
    assert (lot.entry_price, lot.entry_date) == (Decimal("2.50"), date(2024, 1, 5))


def test_a_file_without_such_a_header():
    with pytest.raises(CsvRefused, match="symbol and a quantity"):
        parse("a,b\n1,2\n")
