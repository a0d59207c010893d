"""Positions from a CSV file: all of its rows, or all of its errors."""
