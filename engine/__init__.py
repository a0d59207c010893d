"""Pure computation: arrays and frames in, arrays and frames out.

May import numpy, numba, polars and scipy; knows no file, clock, network or log.
"""
