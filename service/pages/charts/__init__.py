"""Charts of the analytics answers: a table, the Vega-Lite spec that draws it, and its SVG."""
