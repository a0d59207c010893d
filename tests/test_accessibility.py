"""The checks of pages find what they look for."""

import pytest
from accessibility import faults_of

GOOD = '<!doctype html><html lang="en"><title>A</title><body><main><h1>A</h1>{}</main></body></html>'


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<button></button>", "no name: button"),
        ("<input id='a'>", "no name: input"),
        ("<img src='data:,'>", "no alt"),
        ("<p id='a'></p><p id='a'></p>", "id twice: a"),
        ("<p aria-labelledby='b'>x</p>", "leads nowhere: b"),
        ("<h3>x</h3>", "headings skip"),
        ("<h1>x</h1>", "not one h1"),
        ("<table><tr><td>x</td></tr></table>", "no head"),
        ("<div style='width:50px;overflow:auto'><p style='width:90px'>x</p></div>", "has no focus"),
        ("<p style='width:3000px'>x</p>", "wider than its window"),
        ("<button style='height:9px;padding:0;font-size:6px'>x</button>", "too low to hit"),
        ("<p style='color:#777;background:#eee'>x</p>", "contrast"),
        ("<p style='color:#777;background:linear-gradient(#fff,#555)'>x</p>", "contrast"),
    ],
)
def test_a_fault_is_found(browser, body, fault):
    page = browser.new_page()
    page.set_content(GOOD.format(""))
    assert faults_of(page) == []
    page.set_content(GOOD.format(body))
    assert any(fault in each for each in faults_of(page))
    page.close()
