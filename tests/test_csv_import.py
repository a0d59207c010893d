"""The CSV import: every rule and code, all errors at once and in order, all or nothing."""

import csv
import io
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.csv_import.errors import MESSAGES, CsvRefused
from service.csv_import.fields import COLUMNS, REQUIRED, SUBTYPES
from service.csv_import.parsing import parse_positions
from service.csv_import.reading import MAX_BYTES, MAX_LINES, MAX_ROWS
from service.csv_import.template import csv_template

TODAY = date(2026, 11, 23)
HEADER = ",".join(COLUMNS)
GOOD = {"Symbol": "AAPL", "Quantity": "10", "Entry Price Per Share": "100.25", "Entry Date": "2024-01-05"}
OPTION = {
    "Underlying Symbol": "AAPL",
    "Strike Price": "180",
    "Expiration Date": "2027-01-15",
    "Option Type": "CALL",
}


def parse(content, filename="lots.csv", **options):
    content = content.encode() if isinstance(content, str) else content
    return parse_positions(content, filename, today=TODAY, **options)


def table(*rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def errors(content, filename="lots.csv", **options):
    with pytest.raises(CsvRefused) as refused:
        parse(content, filename, **options)
    return [(error.row, error.code, error.field) for error in refused.value.errors]


def lot(**changes):
    (parsed,) = parse(table(GOOD | changes))
    return parsed


def test_a_plain_row():
    parsed = lot()
    assert (parsed.symbol, parsed.quantity, parsed.entry_price) == ("AAPL", Decimal(10), Decimal("100.25"))
    assert (parsed.entry_date, parsed.investment_class, parsed.exit_date) == (
        date(2024, 1, 5),
        "PUBLIC",
        None,
    )


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"Symbol": ""}, "ERR_POS_001", "Symbol"),
        ({"Symbol": "A" * 101}, "ERR_POS_002", "Symbol"),
        ({"Symbol": "A B"}, "ERR_POS_003", "Symbol"),
        ({"Symbol": "../etc"}, "ERR_POS_003", "Symbol"),
        ({"Symbol": "ÄÖ"}, "ERR_POS_003", "Symbol"),
        ({"Symbol": "A\0"}, "ERR_POS_003", "Symbol"),
        ({"Quantity": ""}, "ERR_POS_004", "Quantity"),
        ({"Quantity": "ten"}, "ERR_POS_005", "Quantity"),
        ({"Quantity": "NaN"}, "ERR_POS_005", "Quantity"),
        ({"Quantity": "Infinity"}, "ERR_POS_005", "Quantity"),
        ({"Quantity": "1_000"}, "ERR_POS_005", "Quantity"),
        ({"Quantity": "1,000"}, "ERR_POS_005", "Quantity"),
        ({"Quantity": "٣"}, "ERR_POS_005", "Quantity"),
        ({"Quantity": "1E+30"}, "ERR_POS_005", "Quantity"),
        ({"Quantity": "0.000"}, "ERR_POS_006", "Quantity"),
        ({"Quantity": "1.1234567"}, "ERR_POS_007", "Quantity"),
        ({"Entry Price Per Share": ""}, "ERR_POS_008", "Entry Price Per Share"),
        ({"Entry Price Per Share": "$5"}, "ERR_POS_009", "Entry Price Per Share"),
        ({"Entry Price Per Share": "0"}, "ERR_POS_010", "Entry Price Per Share"),
        ({"Entry Price Per Share": "-1.50"}, "ERR_POS_010", "Entry Price Per Share"),
        ({"Entry Price Per Share": "272.100"}, "ERR_POS_011", "Entry Price Per Share"),
        ({"Entry Date": ""}, "ERR_POS_012", "Entry Date"),
        ({"Entry Date": "01/05/2024"}, "ERR_POS_013", "Entry Date"),
        ({"Entry Date": "2024-1-5"}, "ERR_POS_013", "Entry Date"),
        ({"Entry Date": "2023-02-29"}, "ERR_POS_013", "Entry Date"),
        ({"Entry Date": "2026-11-24"}, "ERR_POS_014", "Entry Date"),
        ({"Entry Date": "1926-11-22"}, "ERR_POS_015", "Entry Date"),
        ({"Investment Class": "CRYPTO"}, "ERR_POS_016", "Investment Class"),
        (
            {"Investment Class": "PUBLIC", "Investment Subtype": "ART"},
            "ERR_POS_017",
            "Investment Subtype",
        ),
        ({"Exit Date": "2024-01-04"}, "ERR_POS_018", "Exit Date"),
        ({"Exit Date": "soon"}, "ERR_POS_013", "Exit Date"),
        ({"Exit Price Per Share": "much"}, "ERR_POS_009", "Exit Price Per Share"),
        ({"Exit Price Per Share": "-1"}, "ERR_POS_009", "Exit Price Per Share"),
        ({"Exit Price Per Share": "1.1234567"}, "ERR_POS_011", "Exit Price Per Share"),
        (OPTION | {"Underlying Symbol": ""}, "ERR_POS_019", "Underlying Symbol"),
        (OPTION | {"Strike Price": "x"}, "ERR_POS_020", "Strike Price"),
        (OPTION | {"Expiration Date": "2027-13-01"}, "ERR_POS_021", "Expiration Date"),
        (OPTION | {"Option Type": "STRADDLE"}, "ERR_POS_022", "Option Type"),
        (OPTION | {"Symbol": "", "Underlying Symbol": "TOOLONGROOT"}, "ERR_POS_019", "Underlying Symbol"),
        (OPTION | {"Symbol": "", "Strike Price": "-5"}, "ERR_POS_020", "Strike Price"),
        ({"Symbol": "AAPL261331C00150000"}, "ERR_POS_021", "Expiration Date"),
    ],
)
def test_one_fault_gives_one_code(changes, code, field):
    assert errors(table(GOOD | changes)) == [(2, code, field)]


def test_every_fault_of_every_row_in_the_order_of_rows_and_columns():
    bad = {
        "Symbol": "A B",
        "Quantity": "0",
        "Entry Price Per Share": "1.999",
        "Entry Date": "2030-01-01",
        "Investment Class": "OPTIONS",
        "Investment Subtype": "STOCK",
        "Exit Date": "never",
        "Exit Price Per Share": "?",
    }
    expected = [3, 6, 11, 14, 17, 13, 9, 19, 20, 21, 22]
    found = errors(table(GOOD, bad, {"Quantity": "1"}, GOOD | {"Quantity": "x"}))
    assert [code for row, code, _ in found if row == 3] == [f"ERR_POS_{number:03d}" for number in expected]
    assert found[-2:] == [(4, "ERR_POS_001", "Symbol"), (5, "ERR_POS_005", "Quantity")]


def test_an_unknown_class_makes_its_subtype_invalid_too():
    row = GOOD | {"Investment Class": "BOGUS", "Investment Subtype": "STOCK"}
    assert [code for _, code, _ in errors(table(row))] == ["ERR_POS_016", "ERR_POS_017"]


@pytest.mark.parametrize("text", ["1E+7", "1.5e3", "+12", ".5", "5.", "0.123456"])
def test_numbers_that_are_plain_enough(text):
    assert lot(Quantity=text).quantity == Decimal(text)


def test_the_edges_of_the_dates():
    assert lot(**{"Entry Date": "2026-11-23"}).entry_date == TODAY
    assert lot(**{"Entry Date": "1926-11-23"}).entry_date == date(1926, 11, 23)
    assert lot(**{"Exit Date": "2024-01-05"}).exit_date == date(2024, 1, 5)


def test_a_subtype_without_a_class_is_not_checked():
    assert lot(**{"Investment Subtype": "whatever"}).investment_class == "PUBLIC"


@pytest.mark.parametrize(("investment_class", "subtypes"), SUBTYPES.items())
def test_every_subtype_of_every_class(investment_class, subtypes):
    for subtype in subtypes:
        extra = OPTION if investment_class == "OPTIONS" else {}
        changes = {"Investment Class": investment_class.lower(), "Investment Subtype": subtype.lower()}
        parsed = lot(**extra, **changes)
        assert parsed.investment_subtype == ("CRYPTOCURRENCY" if subtype == "CRYPTO" else subtype)


def test_an_occ_symbol_tells_everything():
    parsed = lot(Symbol="aapl270115c00180500")
    assert (parsed.symbol, parsed.investment_class) == ("AAPL270115C00180500", "OPTIONS")
    assert (parsed.underlying_symbol, parsed.strike_price) == ("AAPL", Decimal("180.5"))
    assert (parsed.expiration_date, parsed.option_type) == (date(2027, 1, 15), "CALL")


def test_an_option_without_a_symbol_gets_its_own():
    parsed = lot(**OPTION | {"Symbol": "", "Underlying Symbol": "brk.b", "Option Type": "put"})
    assert (parsed.symbol, parsed.underlying_symbol) == ("BRKB270115P00180000", "BRK.B")


def test_a_stated_class_asks_for_the_option_columns():
    row = GOOD | {"Symbol": "AAPL270115C00180000", "Investment Class": "OPTIONS"}
    assert [code for _, code, _ in errors(table(row))] == [f"ERR_POS_0{n}" for n in (19, 20, 21, 22)]


def test_cash_is_private_unless_it_has_a_ticker():
    assert lot(Symbol="cash_usd").investment_class == "PRIVATE"
    assert lot(Symbol="SPAXX", **{"Investment Class": "PUBLIC"}).investment_class == "PUBLIC"


def test_second_lots_of_one_symbol_and_date():
    other_day = GOOD | {"Entry Date": "2024-01-08"}
    lower = GOOD | {"Symbol": "aapl"}
    assert len(parse(table(GOOD, other_day))) == 2
    assert errors(table(GOOD, other_day, lower)) == [(4, "ERR_POS_023", "Symbol + Entry Date")]
    unnamed = OPTION | GOOD | {"Symbol": ""}
    put, further = unnamed | {"Option Type": "PUT"}, unnamed | {"Strike Price": "190"}
    assert len(parse(table(GOOD, unnamed, put, further))) == 4
    assert errors(table(unnamed, unnamed)) == [(3, "ERR_POS_023", "Symbol + Entry Date")]


def test_an_exit_price_without_a_date_is_accepted():
    parsed = lot(**{"Exit Price Per Share": "120.5"})
    assert (parsed.exit_date, parsed.exit_price) == (None, Decimal("120.5"))


def test_the_file_itself():
    assert errors(b" " * (MAX_BYTES + 1), "lots.txt") == [(None, "ERR_CSV_001", None)]
    assert errors(b" " * MAX_BYTES, "lots.txt") == [(None, "ERR_CSV_002", None)]
    assert parse(table(GOOD), "LOTS.CSV")
    for empty in ("", "\n\n", ",,,\n", "# only a comment\n", HEADER, f"{HEADER}\n,,,\n"):
        assert [code for _, code, _ in errors(empty)] == ["ERR_CSV_003"]
    assert errors("Symbol,Entry Date\nA,2024-01-05\n") == [
        (None, "ERR_CSV_004", "Quantity"),
        (None, "ERR_CSV_004", "Entry Price Per Share"),
    ]
    assert errors(f"{HEADER},Symbol\n")[0][1] == "ERR_CSV_005"
    assert errors(b"# \xff\n" + table(GOOD).encode())[0][1] == "ERR_CSV_006"
    assert errors(f"{HEADER}\n{',' * len(COLUMNS)}x\n")[0][:2] == (2, "ERR_CSV_006")
    assert errors(f'{HEADER}\n"AAPL,1,1,2024-01-05\n')[0][1] == "ERR_CSV_006"
    assert errors(f"{HEADER}\n{'x' * 200_000},1,1,2024-01-05\n")[0][1] == "ERR_CSV_006"


def test_what_is_tolerated():
    text = (
        "\ufeff\n,,\n# a comment\n symbol , QUANTITY,Entry Price per share,entry date,Broker\r\n"
        '  # indented\n"BRK.B",\t5 ,"10.00",2024-01-05,x\r\n\n,,,,\nSPY,1,2,2024-01-05\n'
    )
    assert [parsed.symbol for parsed in parse(text)] == ["BRK.B", "SPY"]
    assert errors(text + "QQQ,0,1,2024-01-05\n") == [(5, "ERR_POS_006", "Quantity")]


def test_more_rows_than_allowed_are_refused_at_once():
    rows = [GOOD | {"Symbol": f"S{n}"} for n in range(MAX_ROWS)]
    assert len(parse(table(*rows))) == MAX_ROWS
    start = time.process_time()
    found = errors(HEADER + "\nA,1,1,2024-01-05" * 100_000)
    assert found == [(MAX_ROWS + 2, "ERR_CSV_006", None)]
    assert time.process_time() - start < 1


@pytest.mark.parametrize("line", ["\n", "\r\n", "\r", "# nothing\n", ",,,\n"])
def test_a_file_of_nothing_but_lines_is_refused_before_it_is_read(line):
    start = time.process_time()
    assert errors(line * (MAX_LINES + 1) + table(GOOD)) == [(None, "ERR_CSV_006", None)]
    assert time.process_time() - start < 0.1
    assert len(parse(line * (MAX_LINES - 2) + table(GOOD))) == 1


def test_five_thousand_rows_are_quick():
    rows = [
        GOOD | {"Symbol": f"S{n}", "Quantity": str(n + 1), "Entry Price Per Share": f"{n + 1}.25"}
        for n in range(5000)
    ]
    content = table(*rows)
    parse(content)
    start = time.process_time()
    assert len(parse(content)) == 5000
    assert time.process_time() - start < 0.25


def test_the_template_passes_its_own_rules():
    lots = parse(csv_template())
    assert {each.investment_class for each in lots} == set(SUBTYPES)
    assert any(each.exit_date for each in lots)


def test_the_samples_pass():
    for path in sorted((Path(__file__).parents[1] / "data").glob("sample_*.csv")):
        if "Entry Date" in path.read_text():
            assert parse(path.read_bytes())


def test_messages_say_row_symbol_field_and_code():
    with pytest.raises(CsvRefused, match=r"row 2, AAPL, Quantity: .*zero.*\(ERR_POS_006\)"):
        parse(table(GOOD | {"Quantity": "0"}))
    assert all(text for text in MESSAGES.values())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_lots_or_refused(content):
    for layout in ("template", "auto"):
        try:
            assert parse(content, layout=layout, as_of=TODAY)
        except CsvRefused as refused:
            assert refused.errors


CELLS = st.one_of(
    st.sampled_from(
        ["", "AAPL", "CASH_USD", "1", "0", "-5.25", "1E5", "2024-01-05", "OPTIONS", "CALL", "180"]
    ),
    st.text(max_size=12),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.dates().map(str),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=len(COLUMNS), max_size=len(COLUMNS)), min_size=1, max_size=4))
def test_any_table_is_lots_within_the_rules_or_refused(rows):
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *rows])
    try:
        lots = parse(text.getvalue().encode("utf-8", "replace"))
    except CsvRefused as refused:
        assert all(error.code in MESSAGES for error in refused.errors)
        return
    for each in lots:
        assert each.quantity and each.entry_price > 0
        assert each.quantity * 10**6 % 1 == 0
        assert each.entry_price * 100 % 1 == 0
        assert date(1926, 11, 23) <= each.entry_date <= TODAY
        assert each.investment_class in SUBTYPES
        assert (each.investment_class == "OPTIONS") == (each.option_type is not None)
        assert each.symbol == each.symbol.upper()
        assert 0 < len(each.symbol) <= 100


def test_required_columns_come_first_in_the_template():
    assert COLUMNS[:4] == REQUIRED
