"""Whether two libraries answer the same; imports NumPy alone."""

import numpy as np

from engine.typing import FloatArray, IntArray

TOLERANCE = 1e-9


def assert_agree(what: str, ours: dict[str, FloatArray], peer: dict[str, FloatArray], rows: IntArray) -> None:
    """Compare what the peer answers, for its rows, with ours; ``AssertionError`` when they differ.

    The first array must be missing in the same places. In the others the peer may lack a number that we
    have: scikit-learn gives no standard errors. Differences are relative to each value and the median size.
    """
    for at, (name, theirs) in enumerate(peer.items()):
        mine = ours[name] if len(ours[name]) == len(theirs) else ours[name][rows]
        missing = np.isnan(mine) & ~np.isnan(theirs)
        missing |= np.isnan(theirs) & ~np.isnan(mine) if at == 0 else False
        known = np.abs(theirs[~np.isnan(theirs)])
        size = np.abs(theirs) + (np.median(known) if known.size else 0.0)
        worst = np.nanmax(np.abs(mine - theirs) / size, initial=0.0) if known.size else 0.0
        if missing.any() or worst > TOLERANCE:
            raise AssertionError(
                f"{what}: {name} differs from ridgeline by {worst:.1e} of its size, "
                f"{missing.sum()} numbers are missing on one side alone"
            )
