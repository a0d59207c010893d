"""What "the same number" means in the agreement tests; imports numpy."""

import numpy as np


def assert_agree(actual, expected, tolerance: float = 1e-9, *, floor: float = 1.0, what: str = "") -> None:
    """|a − b| ≤ tolerance · max(floor, |b|) everywhere, and missing in the same places.

    ``floor`` is the size of the quantity when it lies far below 1: a daily covariance of 1e-4 held to 1e-9
    of 1 would be held to five digits only.
    """
    a, b = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
    missing = np.isnan(a) != np.isnan(b)
    assert not missing.any(), f"{what}: missing differs at {np.argwhere(missing)[:5].tolist()}"
    error = np.nan_to_num(np.abs(a - b) / np.maximum(floor, np.abs(b)), posinf=np.inf)
    worst = error.max(initial=0.0)
    assert worst <= tolerance, f"{what}: error {worst:.2e} at {np.argwhere(error == worst)[:3].tolist()}"
