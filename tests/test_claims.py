"""The claims ledger: verdicts by hand, each statistic on made-up seeds, the ledger as a whole."""

import inspect
import math

import pandas as pd
import pytest

from tests import synthetic_runs
from workflow.lib import catalogue, claims, stats, store
from workflow.scripts import judge

CLAIMS = catalogue.load("claims")


def interval(low, high):
    return stats.Interval((low + high) / 2, low, high)


@pytest.mark.parametrize(
    ("bounds", "comparison", "threshold", "expected"),
    [
        ((0.1, 0.2), "above", [0.0], "PASS"),
        ((-0.1, 0.2), "above", [0.0], "INCONCLUSIVE"),
        ((-0.3, -0.1), "above", [0.0], "FAIL"),
        ((0.1, 0.2), "below", [0.0], "FAIL"),
        ((-9.0, -0.1), "below", [0.0], "PASS"),
        ((-0.02, 0.03), "within", [-0.05, 0.05], "PASS"),
        ((-0.06, 0.03), "within", [-0.05, 0.05], "INCONCLUSIVE"),
        ((-0.6, 0.6), "within", [-0.05, 0.05], "INCONCLUSIVE"),
        ((0.06, 0.08), "within", [-0.05, 0.05], "FAIL"),
        ((0.06, 0.08), "outside", [-0.05, 0.05], "PASS"),
        ((-0.02, 0.03), "outside", [-0.05, 0.05], "FAIL"),
        ((0.04, 0.08), "outside", [-0.05, 0.05], "INCONCLUSIVE"),
        ((math.nan, math.nan), "above", [0.0], "INCONCLUSIVE"),
    ],
)
def test_verdict(bounds, comparison, threshold, expected):
    assert claims.verdict(interval(*bounds), comparison, threshold) == expected


def seeds_of(run, values, status="ok", metric="loss", cost=4):
    """Rows of one run: `values` maps a seed to its log points, each of `cost` inner steps."""
    rows = [
        ("toy", run, seed, 10 * step, cost * step, metric, value, status)
        for seed, points in values.items()
        for step, value in enumerate(points)
    ]
    columns = ["experiment", "run", "seed", "outer_step", "inner_steps", "metric", "value"]
    table = pd.DataFrame(rows, columns=[*columns, "status"])
    return table.assign(estimator="pes", num_particles=4.0)


def test_end_value_is_the_mean_of_the_last_tenth_of_the_log_points():
    rows = seeds_of("pes", {3: range(20), 5: [0.0] * 19 + [math.nan]})
    assert claims.end_values(rows, "pes", "loss").to_dict() == {3: 18.5, 5: math.inf}


def test_a_diverged_seed_has_no_end_value_and_the_mean_no_interval():
    rows = pd.concat(
        [seeds_of("pes", {0: [1.0], 1: [2.0]}), seeds_of("pes", {2: [3.0]}, "diverged")]
    )
    estimate = claims.mean_end_value(rows, 0.05, run="pes", metric="loss")
    assert estimate.interval.value == math.inf
    assert claims.verdict(estimate.interval, "above", [0.0]) == "INCONCLUSIVE"


def test_mean_change_is_last_minus_first():
    rows = seeds_of("pes", {0: [1.0, 9.0, 3.0], 1: [1.0, 9.0, 5.0]})
    estimate = claims.mean_change(rows, 0.05, run="pes", metric="loss")
    assert (estimate.interval.value, estimate.n) == (3.0, 2)


def test_ratio_pairs_shared_seeds_and_counts_divergence_as_the_ceiling():
    rows = pd.concat(
        [
            seeds_of("a", {0: [1.0], 1: [4.0], 2: [1.0]}),
            seeds_of("b", {0: [2.0], 1: [8.0], 9: [1.0]}),
            seeds_of("b", {2: [math.nan]}, "diverged"),
        ]
    )
    estimate = claims.end_value_ratio(
        rows, 0.05, run="a", reference="b", metric="loss", ceiling=16.0
    )
    assert estimate.n == 3
    assert estimate.interval.value == pytest.approx((1 / 2 * 1 / 2 * 1 / 16) ** (1 / 3))
    with pytest.raises(ValueError, match="share no seed"):
        claims.end_value_ratio(
            rows[rows["run"].eq("a") | rows["seed"].eq(9)],
            0.05,
            run="a",
            reference="b",
            metric="loss",
            ceiling=16.0,
        )


def test_a_claim_fails_if_one_case_does_and_waits_if_one_is_undecided():
    rows = pd.concat(
        [
            seeds_of("low", {0: [-1.0], 1: [-1.1], 2: [-0.9]}),
            seeds_of("wide", {0: [-1.0], 1: [1.0], 2: [0.0]}),
            seeds_of("high", {0: [1.0], 1: [1.1], 2: [0.9]}),
        ]
    ).assign(scale="smoke", data="")
    claim = {"statistic": "mean_end_value", "comparison": "above", "threshold": [0.0]}
    claim |= {"alpha": 0.05, "command": "make {scale}"}

    def outcome(*runs):
        cases = [{"run": run, "metric": "loss"} for run in runs]
        return claims.judge(claim | {"cases": cases}, rows, [])["verdict"]

    assert outcome("high") == "PASS"
    assert outcome("high", "wide") == "INCONCLUSIVE"
    assert outcome("high", "wide", "low") == "FAIL"
    with pytest.raises(ValueError, match="missing a required argument: 'run'"):
        claims.judge(claim | {"cases": [{"metric": "loss"}]}, rows, [])
    with pytest.raises(ValueError, match="no 'loss' of run 'none' in 'toy'"):
        outcome("none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for experiment in sorted({claim["experiment"] for claim in CLAIMS.values()}):
        paths = getattr(synthetic_runs, experiment)(folder / "runs")
        synthetic_runs.aggregated(paths, folder, experiment)
    return folder


def judged(tables, page):
    experiments = sorted({claim["experiment"] for claim in CLAIMS.values()})
    judge.main(["--tables", str(tables), "--output", str(page), "--experiments", *experiments])


def test_the_ledger_judges_every_claim(folder, tmp_path):
    judged(folder, tmp_path / "claims.md")
    ledger = store.read_json(tmp_path / "claims.json")
    assert set(ledger) == set(CLAIMS)
    made_up = {  # what the made-up runs of these experiments were made to show
        "unbiased_on_quadratic": "PASS",
        "truncated_es_biased_on_quadratic": "PASS",
        "truncated_es_wrong_way": "PASS",
        "pes_few_particles_diverges": "INCONCLUSIVE",  # 4 seeds: the interval is wide
        "mnist_truncated_es_worse": "PASS",
    }
    assert made_up.items() <= {name: claim["verdict"] for name, claim in ledger.items()}.items()
    claim = ledger["mnist_truncated_es_worse"]
    assert (claim["scale"], claim["data"], claim["hardware"]) == ("smoke", ["mnist"], ["cpu"])
    assert claim["seconds"] == 4 * 1.5
    assert claim["command"].endswith("scale=smoke experiments=mnist_lr_schedule")
    page = (tmp_path / "claims.md").read_text()
    assert all(f"[{name}](#{name})" in page and f"## {name}\n" in page for name in CLAIMS)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"^judge: .*_seeds.parquet is missing"):
        judged(tmp_path, tmp_path / "claims.md")


def test_the_list_of_claims_fits_the_code():
    schema = (catalogue.WORKFLOW / "schemas" / "claims.schema.yaml").read_text()
    for claim in CLAIMS.values():
        parameters = inspect.signature(claims.STATISTICS[claim["statistic"]]).parameters
        assert all(set(case) == set(parameters) - {"seeds", "alpha"} for case in claim["cases"])
        assert claim.get("figure", "fig05_influence_balancing") in catalogue.load("figures")
    assert all(name in schema for name in claims.STATISTICS)
