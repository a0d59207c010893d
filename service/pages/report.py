"""A portfolio as one HTML file: charts, tables and stylesheet within it, nothing to load, nothing to run."""

from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from service.pages.assets import content
from service.pages.html import templates
from service.pages.views import View, figures_of


def report(view: View, render: Callable[[dict[str, Any]], str]) -> str:
    """Return a view as a document; ``render`` makes an SVG of a spec."""
    drawn = {chart.name: Markup(render(view.spec(chart.name, "light"))) for chart in view.charts}  # noqa: S704 - ours
    style = Markup(content("pages.css").decode())  # noqa: S704 - ours
    return templates.get_template("report.html").render(
        portfolio=view.composed.portfolio, view=view, drawn=drawn, style=style, **figures_of(view)
    )
