"""Charts hold the numbers of their tables, name what is missing, and are readable by everyone."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import jsonschema_rs
import msgspec
import numpy as np
import polars as pl
import pytest
from chart_answers import BENCHMARK, NO_BETA, NO_ERROR, ODD, all_answers
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from tolerance import assert_agree

from service.pages.charts import drawing, rendering, specs, tables

CHARTS = (
    "performance",
    "factor_betas",
    "risk_by_factor",
    "risk_by_position",
    "correlations",
    "stress",
    "sectors",
    "concentration",
    "exposure_history",
)
MODES = ("light", "dark")


@pytest.fixture(scope="module")
def answers():
    return {kind: all_answers(kind) for kind in ("full", "gaps", "empty")}


def spec_of(answers, kind, name, mode="light"):
    return getattr(specs, name)(answers[kind][name], mode)


def table_of(answers, kind, name):
    return getattr(tables, name)(answers[kind][name])


@pytest.fixture(scope="module")
def schema():
    """Vega-Lite's own JSON schema, as altair ships it."""
    found = find_spec("altair")
    if found is None:
        pytest.skip("altair, which has the schema, is not installed")

    def as_uri(node):
        reference = node.get("$ref")
        return node | {"$ref": quote(reference, safe="#/")} if isinstance(reference, str) else node

    path = Path(found.origin).parent / "vegalite" / "v6" / "schema" / "vega-lite-schema.json"
    return jsonschema_rs.validator_for(json.loads(path.read_text(), object_hook=as_uri))


@pytest.mark.parametrize("kind", ["full", "gaps", "empty"])
@pytest.mark.parametrize("name", CHARTS)
def test_specs_are_vega_lite(answers, schema, kind, name):
    for mode in MODES:
        assert [error.message for error in schema.iter_errors(spec_of(answers, kind, name, mode))] == []


def nodes(value):
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(each)


@pytest.mark.parametrize("kind", ["full", "gaps"])
@pytest.mark.parametrize("name", CHARTS)
def test_the_drawing_has_the_numbers_of_the_table(answers, kind, name):
    spec, table = spec_of(answers, kind, name), table_of(answers, kind, name)
    text = table.with_columns(pl.col(pl.Date).dt.to_string("%Y-%m-%d"))
    assert spec["data"]["values"] == [dict(zip(text.columns, row, strict=True)) for row in text.iter_rows()]
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    fields = {node["field"] for node in nodes(spec) if isinstance(node.get("field"), str)}
    assert fields <= {*table.columns, "words"}
    assert all(set(node) == {"values"} for node in nodes(spec) for node in [node.get("data")] if node)


@pytest.mark.parametrize("kind", ["full", "gaps", "empty"])
@pytest.mark.parametrize("name", CHARTS)
def test_svg(answers, kind, name):
    spec = spec_of(answers, kind, name)
    drawn = rendering.svg(spec)
    assert drawn == rendering.svg(spec)
    root = ElementTree.fromstring(drawn)
    texts = {element.tag.rpartition("}")[2]: element for element in list(root)[:2]}
    assert root.get("role") == "img"
    assert root.get("aria-labelledby").split() == [texts["title"].get("id"), texts["desc"].get("id")]
    assert (texts["title"].text, texts["desc"].text) == (spec["title"]["text"], spec["description"])
    # Another chart of the page has no part of this one: it refers to nothing, within or without.
    assert sum("id" in element.attrib for element in root.iter()) == 2
    assert "href=" not in drawn
    assert "url(" not in drawn
    shown = " ".join("".join(root.itertext()).split())
    table = table_of(answers, kind, name)
    if "Nothing to draw" in spec["description"]:
        assert "Nothing to draw: " in drawn.partition("</desc>")[2]
    elif name not in ("performance", "concentration"):
        label = next(column for column in table.columns if table[column].dtype == pl.String)
        assert all(each in shown for each in table[label])


def test_what_is_empty_says_so(answers):
    said = {name: spec_of(answers, "empty", name)["description"] for name in CHARTS}
    assert {name for name, text in said.items() if "Nothing to draw" not in text} == {"sectors"}
    assert "Nothing to draw: fewer than two returns." in said["performance"]
    assert "Cash: 100.0% of NAV" in said["sectors"]  # and nothing in any of the benchmark's sectors


def test_missing_numbers_are_null_and_named(answers):
    found = answers["gaps"]
    betas = tables.factor_betas(found["factor_betas"])
    blank = betas.row(NO_BETA, named=True)
    assert [blank[name] for name in ("beta", "low", "high", "significant")] == [None] * 4
    assert betas["significant"][NO_ERROR] is None
    assert f"No value: {blank['factor']}." in specs.factor_betas(found["factor_betas"])["description"]
    drawn = rendering.svg(specs.factor_betas(found["factor_betas"]))
    assert drawn.count(">no value<") == 1
    assert drawn.count("± ?<") == 1

    stress = tables.stress(found["stress"])
    lacking = stress.filter(pl.col("impact").is_null())["scenario"].to_list()
    assert len(lacking) == 1
    assert f"No value: {lacking[0]}, " in specs.stress(found["stress"])["description"]

    shares = found["risk_by_position"].data.position_contribution
    unknown = [symbol for symbol, share in shares.items() if share is None]
    said = specs.risk_by_position(found["risk_by_position"])["description"]
    assert len(unknown) == 2
    assert f"No value: {', '.join(unknown)}." in said
    assert f"Left out: {ODD} (unknown symbol), NOSUCH (unknown symbol)." in said
    assert "Limits: partial coverage" in said


def test_lines_break_where_a_number_is_missing(answers):
    answer = answers["gaps"]["exposure_history"]
    table = tables.exposure_history(answer)
    assert table.group_by("factor").len()["len"].unique().to_list() == [40]
    assert table.filter(factor="IR Beta")["beta"].is_null().sum() == 10
    said = specs.exposure_history(answer)["description"]
    assert "Market Beta (90D) on 2024-01-02, IR Beta on 10 sessions from 2024-01-12 to 2024-01-21" in said
    paths = [
        element.get("d")
        for element in ElementTree.fromstring(rendering.svg(specs.exposure_history(answer))).iter()
        if element.get("stroke-linecap") == "round"
    ]
    assert sorted(path.count("M") for path in paths) == [1, 1, 2]


@pytest.mark.parametrize("name", ["stored", "ruined", "lonely"])
def test_growth_and_drawdown(answers, name):
    answer = answers["gaps"]["performance"]
    returns = list(answer.data.returns)
    if name == "ruined":
        returns[50] = -1.5
    if name == "lonely":
        returns = [0.1 if place == 20 else None for place in range(len(returns))]
    answer = msgspec.structs.replace(answer, data=msgspec.structs.replace(answer.data, returns=returns))
    table = tables.performance(answer)
    growth, peak, ruined = 1.0, 1.0, False
    for row, one in zip(table.iter_rows(named=True), returns, strict=True):
        ruined = ruined or (one is not None and one < -1)
        if one is None or ruined:
            assert (row["growth"], row["drawdown"]) == (None, None)
            continue
        growth *= 1 + one
        peak = max(peak, growth)
        assert_agree([row["growth"], row["drawdown"]], [growth, growth / peak - 1], 1e-12)
    assert ruined is (name == "ruined")
    assert table["nav"].to_list() == answer.data.nav


def test_order_is_that_of_scipy(answers):
    for kind in ("full", "gaps"):
        data = answers[kind]["correlations"].data
        symbols = list(data.matrix)
        values = np.array([[data.matrix[one][two] for two in symbols] for one in symbols], dtype=float)
        distance = 1 - np.nan_to_num(values, nan=0.0)
        np.fill_diagonal(distance, 0)
        leaves = leaves_list(linkage(squareform(distance, checks=False), "average"))
        table = tables.correlations(answers[kind]["correlations"])
        assert table["symbol_1"].unique(maintain_order=True).to_list() == [symbols[i] for i in leaves]
        n = len(symbols)
        assert_agree(table["correlation"].to_numpy().reshape(n, n), values[np.ix_(leaves, leaves)], 1e-15)


def test_pairs_without_a_correlation_are_crossed_out(answers):
    answer = msgspec.convert(
        msgspec.to_builtins(answers["full"]["correlations"]), type(answers["full"]["correlations"])
    )
    one, two, alone, *_ = answer.data.order
    answer.data.matrix[one][two] = answer.data.matrix[two][one] = None
    for line in answer.data.matrix.values():
        line[alone] = None
    answer.data.matrix[alone] = dict.fromkeys(answer.data.matrix)
    spec, n = specs.correlations(answer), len(answer.data.order)
    assert n > specs.MAX_NUMBERED
    assert f"No value: {alone} with any other, {min(one, two)}–{max(one, two)}." in spec["description"]
    marks = ElementTree.fromstring(rendering.svg(spec)).iter()
    groups = {each.get("class"): each for each in marks if "role-mark" in each.get("class", "")}
    crosses = [each for name, each in groups.items() if "symbol" in name]
    assert [len(each) for each in crosses] == [2 * n - 1 + 2]


def test_shares_of_risk_add_up(answers):
    for kind in ("full", "gaps"):
        answer = answers[kind]["risk_by_factor"]
        assert_agree(tables.risk_by_factor(answer)["share"].sum(), 1.0, 1e-12)
        for largest in (3, 1000):
            table = tables.risk_by_position(answer, largest=largest)
            assert_agree(table["share"].sum(), 1.0, 1e-12)
            assert table["n_positions"].sum() == len(answer.data.position_contribution)
            sizes = table.filter(n_positions=1)["share"].drop_nulls().abs().to_list()
            assert sizes == sorted(sizes, reverse=True)


def test_sectors_and_concentration(answers):
    found = answers["full"]
    table = tables.sectors(found["sectors"])
    assert {*BENCHMARK} <= {*table["sector"]}
    assert "Cash" not in table["sector"]
    assert_agree(table["active"], (table["portfolio"] - table["benchmark"]).to_numpy(), 1e-12)
    data = msgspec.structs.replace(found["sectors"].data, benchmark_weights={}, over_underweight={})
    alone = msgspec.structs.replace(found["sectors"], data=data)
    assert tables.sectors(alone)["benchmark"].null_count() == len(tables.sectors(alone))
    assert "those of the benchmark are not known" in specs.sectors(alone)["description"]

    data, table = found["concentration"].data, tables.concentration(found["concentration"])
    assert table["rank"].to_list() == list(range(1, data.total_positions + 1))
    assert_agree(
        [table["cumulative"][2], table["cumulative"][9]],
        [data.top_3_concentration, data.top_10_concentration],
    )
    assert_agree(table["cumulative"][-1], 1.0, 1e-12)


def test_every_color_is_the_modes(answers):
    for name in CHARTS:
        light, dark = (json.dumps(spec_of(answers, "gaps", name, mode)).lower() for mode in MODES)
        assert drawing.COLORS["dark"].background not in light
        assert "#ffffff" not in dark or name == "correlations"


def test_nothing_is_fetched(answers):
    spec = spec_of(answers, "full", "concentration") | {"data": {"url": "http://127.0.0.1:9/data.json"}}
    with pytest.raises(ValueError, match="not allowed"):
        rendering.svg(spec)


def test_sessions_are_the_same_everywhere(answers):
    spec = spec_of(answers, "full", "performance")
    code = (
        "import json, sys; from service.pages.charts.rendering import svg; print(svg(json.load(sys.stdin)))"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(spec),
        env=os.environ | {"TZ": "America/Los_Angeles"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout == rendering.svg(spec) + "\n"


def test_the_command_line_does_not_load_the_renderer():
    code = (
        "import sys; from service.cli.app import run; run(['--help']); sys.exit('vl_convert' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
