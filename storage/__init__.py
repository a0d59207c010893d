"""Owner of every file, every SQL statement and every column contract.

May import duckdb, deltalake, sqlalchemy, polars and pyarrow; never imports engine or service.
"""
