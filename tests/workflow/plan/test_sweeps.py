"""Sweeps: what an experiment file makes of them, and the statistics that claims take from them."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.helpers import synthetic_runs
from workflow.lib.claims import cases, variance
from workflow.lib.common import stats
from workflow.lib.plan import spec
from workflow.lib.results import sweeps


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("tables"), {}
    for name in ("variance_unrolls", "variance_es_gen", "meta_gradient"):
        paths = getattr(synthetic_runs, name)(folder / "runs")
        found |= synthetic_runs.aggregated(paths, folder, name)
    return found


def test_a_sweep_is_one_run_for_each_combination_of_values():
    settings = {
        "estimator": {"name": "pes", "sigma": 0.1},
        "protocol": {"name": "meta_training"},
        "sweep": {"estimator.truncation": [1, 10], "protocol.learning_rate": [0.01, 1e-5]},
    }
    found = dict(spec._swept("pes", settings))
    assert list(found) == ["pes_1_0p01", "pes_1_1em05", "pes_10_0p01", "pes_10_1em05"]
    member = found["pes_10_1em05"]
    assert member["estimator"] == {"name": "pes", "sigma": 0.1, "truncation": 10}
    assert member["protocol"] == {"name": "meta_training", "learning_rate": 1e-5}
    assert member["sweep"] == "pes"
    assert settings["estimator"] == {"name": "pes", "sigma": 0.1}


def test_only_the_members_of_a_sweep_name_it():
    jobs = spec.jobs("laptop", ("learned_optimizer",))
    sweeps_of = {job.spec["run"]: job.spec.get("sweep") for job in jobs}
    swept = {run for run, sweep in sweeps_of.items() if sweep == "es_single_sigma"}
    assert swept == {f"es_single_sigma_{value}" for value in ("0p0001", "0p001", "0p1")}
    assert {sweep for run, sweep in sweeps_of.items() if run not in swept} == {None}


def test_the_study_has_every_number_of_unrolls():
    jobs = spec.jobs("laptop", ("variance_unrolls",))
    swept = [job.spec for job in jobs if job.spec.get("sweep") == "pes_random"]
    horizon = swept[0]["task"]["args"]["horizon"]
    unrolls = [horizon // run["estimator"]["args"]["truncation"] for run in swept]
    assert unrolls == [1000, 500, 200, 100, 50, 20, 10, 5, 2, 1]


def test_the_tables_name_the_sweep_of_every_run(tables):
    for table in (tables["variance_unrolls"], tables["variance_unrolls_seeds"]):
        named = table.groupby("run")["sweep"].unique().map(list)
        assert named["pes_real_10"] == ["pes_real"]
        assert named["theory_real"] == [""]


def test_members_know_their_unrolls_and_their_windows(tables):
    table = tables["variance_unrolls_seeds"]
    pes, single = (sweeps.members(table, f"{name}_real") for name in ("pes", "es_single"))
    assert pes["unrolls"].tolist() == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert (pes["unrolls"] * pes["window"] == 1000).all()
    assert (single["window"] == 1000).all()
    grouped = sweeps.members(tables["variance_es_gen_seeds"], "es_gen_real")
    assert (grouped["window"] == 10 * grouped["resample_every"]).all()
    with pytest.raises(ValueError, match="no run of the sweep 'pes' in 'variance_unrolls'"):
        sweeps.members(table, "pes")


def test_the_jackknife_of_a_mean_is_its_t_interval():
    values = np.random.default_rng(0).normal(size=30)
    np.testing.assert_allclose(stats.jackknife(np.mean, values), stats.mean(values))


def test_the_jackknife_covers_a_slope():
    """400 samples of 20 seeds: the interval holds the truth in 95 %, give or take 4 %."""
    rng, x = np.random.default_rng(0), np.log([1.0, 10.0, 100.0])
    hits = 0
    for _ in range(400):
        values = np.exp(0.5 * x) * rng.gamma(25.0, 1 / 25, size=(20, 3))
        interval = stats.jackknife(
            lambda sample: np.polyfit(x, np.log(sample.mean(axis=0)), 1)[0], values
        )
        hits += interval.low < 0.5 < interval.high
    assert abs(hits / 400 - 0.95) < 0.04


def test_statistics_of_the_study(tables):
    seeds = tables["variance_unrolls_seeds"]
    slope = variance.unroll_slope(seeds, 0.05, sweep="pes_random", metric="variance", fewest=100)
    assert slope.interval.value == pytest.approx(1.0, abs=0.03)
    assert slope.n == 20
    half = variance.mean_ratio(
        seeds, 0.05, run="pes_repeat_1", reference="es_single_repeat_1", metric="variance"
    )
    assert half.interval.low < half.interval.value < half.interval.high
    assert half.interval.value == pytest.approx(0.5, abs=0.05)


def test_the_worst_ratio_to_theory_is_found(tables):
    seeds = tables["variance_unrolls_seeds"].copy()
    chosen = {"sweep": "es_single_real", "theory": "theory_real", "metric": "variance"}
    good = variance.worst_theory_ratio(seeds, 0.05, **chosen).interval
    assert 0.9 < good.low < good.value < good.high < 1.1
    seeds.loc[seeds["run"] == "es_single_real_20", "value"] *= 1.5
    bad = variance.worst_theory_ratio(seeds, 0.05, **chosen).interval
    assert bad.value == pytest.approx(1.5, abs=0.05)
    assert cases.verdict(bad, "within", [0.8, 1.25]) == "INCONCLUSIVE"


def test_noise_growth_ignores_the_level_and_counts_no_step_across_a_reset():
    """Gradients ±a in the first tenth and ±3a in the last, around a level that jumps: ratio 9."""
    step = np.arange(40)
    place = step % 20
    gradient = 100.0 * (step // 20) + (-1.0) ** step * np.where(place >= 18, 3.0, 1.0)
    metrics = {"gradient": gradient, "loss": np.ones(40), "problem": 1.0 + step // 20}
    frames = [
        pd.DataFrame({"seed": seed, "outer_step": step, "metric": metric, "value": values})
        for seed in range(3)
        for metric, values in metrics.items()
    ]
    rows = pd.concat(frames).assign(experiment="toy", run="pes", status="ok")
    estimate = variance.noise_growth(rows, 0.05, run="pes")
    first, last = 2.0**2 / 2, (4.0**2 / 2 + 6.0**2 / 2) / 2
    assert estimate.interval.value == pytest.approx(last / first)
    assert estimate.n == 3
    assert math.isfinite(estimate.interval.low)
    lost = (rows["seed"] == 1) & (rows["metric"] == "gradient") & (rows["outer_step"] == 30)
    estimate = variance.noise_growth(rows.assign(value=rows["value"].mask(lost)), 0.05, run="pes")
    assert (estimate.interval.value, estimate.n) == (math.inf, 3)
    assert math.isnan(estimate.interval.high)
