import numpy as np
import pytest
import scipy.stats

from fitloop.evaluation.statistics import at_percentiles, bootstrap_mean, summarize, summarize_columns


def make_values(count=300, seed=0):
    return np.random.default_rng(seed).gamma(4.0, 20.0, count)


def interval(values, **options):
    low, high = bootstrap_mean(np.asarray(values)[:, None], **options)
    return float(low[0]), float(high[0])


def test_the_interval_agrees_with_scipys_percentile_bootstrap():
    values = make_values()
    expected = scipy.stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", random_state=1)  # pyright: ignore[reportCallIssue]
    low, high = interval(values, resamples=4000)
    assert low == pytest.approx(expected.confidence_interval.low, rel=0.01)
    assert high == pytest.approx(expected.confidence_interval.high, rel=0.01)


def test_the_same_seed_gives_the_same_interval_and_another_one_does_not():
    values = make_values()
    assert interval(values, seed=3) == interval(values, seed=3)
    assert interval(values, seed=3) != interval(values, seed=4)


def test_the_interval_holds_the_true_mean_as_often_as_it_says():
    hits = 0
    for seed in range(200):
        low, high = interval(make_values(100, seed), resamples=300, seed=seed)
        hits += low <= 80.0 <= high
    assert 180 <= hits <= 199


def test_summary_agrees_with_numpy_and_leaves_out_what_is_not_finite():
    values = make_values()
    summary = summarize(np.concatenate([values, [np.nan, np.inf]]))
    assert summary is not None
    assert summary.count == 300
    assert summary.mean == pytest.approx(values.mean())
    assert summary.low < summary.mean < summary.high
    assert summary.percentiles["p95"] == pytest.approx(np.percentile(values, 95))


def test_one_person_has_an_interval_of_no_width_and_nobody_has_none():
    alone = summarize(np.array([5.0]))
    assert alone is not None and (alone.low, alone.high) == (5.0, 5.0)
    assert summarize(np.array([np.nan])) is None


def test_metrics_summarized_together_are_what_each_is_alone():
    first, second = make_values(seed=1), make_values(seed=2)
    second[7] = np.nan
    together = summarize_columns({"a": first, "b": second, "none": np.full(300, np.nan), "c": 2.0 * first}, seed=5)
    assert list(together) == ["a", "b", "c"]
    for name, values in (("a", first), ("b", second)):
        alone = summarize(values, seed=5)
        assert alone is not None and together[name].count == alone.count
        assert (together[name].mean, together[name].low) == pytest.approx((alone.mean, alone.low))
        assert together[name].percentiles == pytest.approx(alone.percentiles)
    assert together["c"].high == pytest.approx(2.0 * together["a"].high)


def test_bad_arguments_are_refused_with_the_reason():
    with pytest.raises(ValueError, match="at least one value"):
        interval([])
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval([1.0], level=95.0)


def test_rows_at_percentiles_are_the_nearest_ranks():
    values = np.array([50.0, 10.0, np.nan, 30.0, 20.0, 40.0])
    assert at_percentiles(values, (20, 60, 100)) == [1, 3, 0]
    assert at_percentiles(np.array([np.nan]), (50,)) == []
