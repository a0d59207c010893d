"""Correlations and diversification against the slow answers, at levels, gaps and shapes that break them."""

import numpy as np
import pytest
from naive_portfolio import average_correlation as naive_average
from naive_portfolio import correlations as naive_correlations
from naive_portfolio import diversification_ratio as naive_diversification
from naive_portfolio import effective_bets as naive_bets
from naive_portfolio import repaired as naive_repaired
from tolerance import assert_agree

from engine.correlation import (
    average_correlation,
    cluster_order,
    diversification_ratio,
    effective_bets,
    pairwise_correlation,
    repair,
)

NAN = float("nan")


def make_series(n, n_sessions=90, *, gaps=0.0, level=0.0, noise=0.01, seed=0):
    rng = np.random.default_rng(seed)
    series = level + noise * (rng.standard_normal((n, n_sessions)) + 0.7 * rng.standard_normal(n_sessions))
    series[rng.random(series.shape) < gaps] = np.nan
    return series


def assert_same(series, min_overlap=30, tolerance=1e-12):
    correlation, n_obs = pairwise_correlation(series, min_overlap)
    present = np.isfinite(series).astype(int)
    assert (n_obs == present @ present.T).all()
    assert (np.isnan(correlation) | (np.abs(correlation) <= 1)).all()
    assert correlation.tobytes() == correlation.T.copy().tobytes()
    assert set(np.diag(correlation)[np.isfinite(np.diag(correlation))]) <= {1.0}
    assert_agree(correlation, naive_correlations(series, min_overlap), tolerance)
    return correlation


@pytest.mark.parametrize("gaps", [0.0, 0.02, 0.2, 0.6])
@pytest.mark.parametrize(("level", "noise"), [(0.0, 0.01), (1e-2, 1e-2), (1.0, 0.01), (1e4, 1.0), (1e8, 1.0)])
def test_every_level_and_share_of_gaps(gaps, level, noise):
    assert_same(make_series(9, gaps=gaps, level=level, noise=noise), 20)


@pytest.mark.parametrize("n", [1, 2, 3, 63, 64, 65, 129, 150])
def test_every_number_of_series(n):
    assert_same(make_series(n, 40, gaps=0.1, seed=n))


@pytest.mark.parametrize("n_sessions", [1, 2, 63, 64, 65, 128, 252])
def test_every_number_of_sessions(n_sessions):
    assert_same(make_series(5, n_sessions, gaps=0.05), 2)


def test_no_series():
    correlation, n_obs = pairwise_correlation(np.empty((0, 90)), 30)
    assert correlation.shape == n_obs.shape == (0, 0)


def test_a_large_matrix_at_random_places():
    series = make_series(500, 252, gaps=0.02)
    correlation, n_obs = pairwise_correlation(series, 30)
    for i, j in np.random.default_rng(1).integers(0, 500, (200, 2)):
        assert_agree(correlation[i, j], naive_correlations(series[[i, j]], 30)[0, 1], 1e-12)
        assert n_obs[i, j] == np.isfinite(series[i] + series[j]).sum()


@pytest.mark.parametrize("value", [0.0, 0.01, 0.1, 1e8])
def test_a_constant_series_has_no_correlation(value):
    series = make_series(4, gaps=0.1)
    series[1, np.isfinite(series[1])] = value
    correlation = assert_same(series)
    assert np.isnan(correlation[1]).all()


def test_rounding_noise_of_a_constant_return_is_no_movement():
    series = make_series(3)
    series[2] = np.diff(np.log(np.cumprod(np.full(91, 1.0001))))
    correlation, _ = pairwise_correlation(series, 30)
    assert np.ptp(series[2]) > 0
    assert np.isnan(correlation[2]).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
def test_a_series_that_moves_only_in_the_gaps_of_another(value):
    series = make_series(3, level=value, noise=max(0.01, 1e-8 * value))
    series[0, 10:] = value
    series[1, :10] = np.nan
    correlation = assert_same(series)
    assert np.isnan(correlation[0, 1])
    assert np.isfinite(correlation[0, 2])


@pytest.mark.parametrize("tick", [1e2, 1e6])
def test_a_bad_tick_in_the_gap_of_another_series_leaves_no_residue(tick):
    """All but a trace of the first series' movement has to be taken away again."""
    series = make_series(3)
    series[0, 7], series[1, 7] = tick, np.nan
    assert_same(series)


def test_identical_and_opposite_series():
    series = make_series(4, gaps=0.02)
    series[1], series[2] = series[0], -3.0 * series[0]
    correlation = assert_same(series)
    assert_agree(correlation[0, 1:3], [1.0, -1.0], 1e-15)


def test_the_overlap_is_counted_in_common_sessions():
    series = make_series(2, 60)
    series[0, 31:], series[1, :1] = np.nan, np.nan
    for min_overlap, defined in ((30, True), (31, False)):
        correlation, n_obs = pairwise_correlation(series, min_overlap)
        assert n_obs[0, 1] == 30
        assert np.isfinite(correlation[0, 1]) == defined


def test_series_without_common_sessions_have_no_correlation():
    series = make_series(3, 60)
    series[0, 30:], series[1, :30], series[2] = np.nan, np.nan, np.nan
    correlation, n_obs = pairwise_correlation(series, 0)
    assert np.isnan(correlation[[0, 0, 1, 2], [1, 2, 2, 2]]).all()
    assert n_obs.tolist() == [[30, 0, 0], [0, 30, 0], [0, 0, 0]]


def test_infinite_returns_are_missing():
    series = make_series(3)
    missing = series.copy()
    series[0, 3], series[1, 5], missing[0, 3], missing[1, 5] = -np.inf, np.inf, NAN, NAN
    for one, other in zip(pairwise_correlation(series, 30), pairwise_correlation(missing, 30), strict=True):
        assert (one == other).all()


def test_a_pair_depends_neither_on_the_other_series_nor_on_their_order():
    series = make_series(150, gaps=0.1)
    series[7], series[11] = NAN, 1e9 * series[11]
    correlation, n_obs = pairwise_correlation(series, 30)
    order = np.random.default_rng(2).permutation(150)
    shuffled, n_shuffled = pairwise_correlation(series[order], 30)
    assert_agree(shuffled, correlation[np.ix_(order, order)], 1e-13)
    assert (n_shuffled == n_obs[np.ix_(order, order)]).all()
    for i, j in [(0, 149), (11, 80), (3, 7), (64, 63)]:
        assert_agree(pairwise_correlation(series[[i, j]], 30)[0][0, 1], correlation[i, j], 1e-13)


def test_strided_input_and_the_input_is_left_alone():
    by_session = np.asfortranarray(make_series(6, gaps=0.1))
    before = by_session.copy()
    assert_same(by_session)
    assert_same(make_series(6, 180, gaps=0.1)[:, ::2])
    np.testing.assert_array_equal(by_session, before)


def make_indefinite():
    correlation = pairwise_correlation(make_series(60, gaps=0.5, noise=0.01), 5)[0]
    assert np.linalg.eigvalsh(correlation)[0] < -0.01
    return correlation


def test_repair_clips_and_keeps_the_diagonal():
    indefinite = make_indefinite()
    matrix, was_repaired = repair(indefinite)
    assert was_repaired
    assert_agree(matrix, naive_repaired(indefinite), 1e-12)
    assert (np.diag(matrix) == 1.0).all()
    assert (matrix == matrix.T).all()
    assert np.linalg.eigvalsh(matrix)[0] > -1e-12


def test_repair_leaves_alone_what_fits_together_or_has_a_null():
    complete = pairwise_correlation(make_series(20), 30)[0]
    with_null = make_indefinite()
    with_null[3, 5] = with_null[5, 3] = NAN
    for correlation in (complete, with_null, np.ones((3, 3)), np.ones((1, 1)), np.empty((0, 0))):
        matrix, was_repaired = repair(correlation)
        assert not was_repaired
        np.testing.assert_array_equal(matrix, correlation)


def test_clusters_stand_together():
    rng = np.random.default_rng(3)
    factors = rng.standard_normal((3, 90))
    group = np.array([0, 1, 2] * 4)
    correlation, _ = pairwise_correlation(factors[group] + 0.3 * rng.standard_normal((12, 90)), 30)
    order = cluster_order(correlation)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(12))
    assert np.count_nonzero(np.diff(group[order])) == 2


def test_a_null_pair_is_as_far_as_an_uncorrelated_one():
    correlation = np.full((4, 4), NAN)
    np.fill_diagonal(correlation, 1.0)
    correlation[0, 3] = correlation[3, 0] = 0.9
    order = cluster_order(correlation).tolist()
    assert abs(order.index(0) - order.index(3)) == 1
    assert (cluster_order(np.full((3, 3), NAN)) == cluster_order(np.eye(3))).all()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_the_order_of_few_series(n):
    assert sorted(cluster_order(np.eye(n))) == list(range(n))


def test_averages_leave_nulls_out():
    correlation = pairwise_correlation(make_series(12, gaps=0.4), 33)[0]
    assert np.isnan(correlation).any()
    weights = np.random.default_rng(4).dirichlet(np.ones(12))
    assert_agree(average_correlation(correlation, weights), naive_average(correlation, weights), 1e-12)
    assert np.isnan(average_correlation(np.ones((1, 1)), np.ones(1)))
    assert np.isnan(average_correlation(np.full((3, 3), NAN), np.ones(3)))


def test_effective_bets():
    complete = pairwise_correlation(make_series(20), 30)[0]
    assert_agree(effective_bets(complete), naive_bets(complete), 1e-10)
    indefinite = make_indefinite()
    assert_agree(effective_bets(indefinite), naive_bets(naive_repaired(indefinite)), 1e-10)
    assert_agree([effective_bets(np.eye(7)), effective_bets(np.ones((5, 5)))], [7.0, 1.0], 1e-12)
    complete[2, 4] = complete[4, 2] = NAN
    assert np.isnan(effective_bets(complete))


def test_diversification_on_the_sessions_all_series_share():
    returns = make_series(6, gaps=0.05)
    weights = np.array([0.4, 0.3, -0.2, 0.3, 0.1, 0.1])
    assert_agree(diversification_ratio(weights, returns, 2), naive_diversification(weights, returns), 1e-12)
    assert_agree(diversification_ratio(np.ones(1), returns[:1], 2), 1.0, 1e-15)
    assert np.isnan(diversification_ratio(weights, returns, returns.shape[1]))  # the gaps leave fewer
    returns[0, 1:] = NAN
    assert np.isnan(diversification_ratio(weights, returns, 2))
