"""A spec as SVG; imports vl-convert and nothing of ours, for a process of its own to load at once.

As a program it reads specs, a line of JSON each, and writes a line for each: ``{"svg": …}`` or
``{"error": …}``. It ends with its input, or when nobody has asked for a while.
"""

import json
import os
import select
import sys
import zlib
from html import escape
from typing import Any

import vl_convert

VEGA_LITE = "6.4"
IDLE_SECONDS = 600.0
NICENESS = 10  # whoever waits for a page goes first


def svg(spec: dict[str, Any]) -> str:
    """Render a spec of these charts as an SVG that may stand among others in a page.

    Nothing is fetched. Screen readers hear the title and the description; for single numbers the table beside
    it is better than a thousand named marks. The first call of a process starts the renderer, about a second.
    Every call holds the interpreter's lock to its end, against which no thread helps: a server that has other
    requests renders in another process.
    """
    drawn = vl_convert.vegalite_to_svg(
        spec, vl_version=VEGA_LITE, config={"aria": False}, allowed_base_urls=[]
    )
    mark = f"chart-{zlib.crc32(drawn.encode()):08x}"
    opening, rest = drawn.split(">", 1)
    labels = f'role="img" aria-labelledby="{mark}-title {mark}-description"'
    title = f'<title id="{mark}-title">{escape(spec["title"]["text"])}</title>'
    description = f'<desc id="{mark}-description">{escape(spec["description"])}</desc>'
    return f"{opening} {labels}>{title}{description}{rest}"


def main() -> None:
    """Answer specs until nobody asks any more."""
    os.nice(NICENESS)
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0] and (line := sys.stdin.readline()):
        try:
            said = {"svg": svg(json.loads(line))}
        except (ValueError, KeyError) as error:
            said = {"error": str(error)}
        print(json.dumps(said), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
