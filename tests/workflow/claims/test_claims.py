"""The claims ledger: verdicts by hand, each statistic on made-up seeds, the ledger as a whole."""

import math

import pandas as pd
import pytest

from tests.helpers import synthetic_runs
from tests.helpers.made_up_seeds import seeds_of
from workflow.lib.claims import cases, ledger, statistics
from workflow.lib.common import stats, store
from workflow.lib.plan import catalogue
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
    assert cases.verdict(interval(*bounds), comparison, threshold) == expected


def test_end_value_is_the_mean_of_the_last_quarter_of_the_log_points():
    rows = seeds_of("pes", {3: range(20), 5: [0.0] * 19 + [math.nan]})
    assert statistics.end_values(rows, "pes", "loss").to_dict() == {3: 17.0, 5: math.inf}


def test_a_diverged_seed_has_no_end_value_and_the_mean_no_interval():
    rows = pd.concat(
        [seeds_of("pes", {0: [1.0], 1: [2.0]}), seeds_of("pes", {2: [3.0]}, "diverged")]
    )
    estimate = statistics.mean_end_value(rows, 0.05, run="pes", metric="loss")
    assert estimate.interval.value == math.inf
    assert cases.verdict(estimate.interval, "above", [0.0]) == "INCONCLUSIVE"


def test_mean_change_is_last_minus_first():
    rows = seeds_of("pes", {0: [1.0, 9.0, 3.0], 1: [1.0, 9.0, 5.0]})
    for status in ("ok", "diverged"):  # a change is that of the values themselves
        estimate = statistics.mean_change(
            rows.assign(status=status), 0.05, run="pes", metric="loss"
        )
        assert (estimate.interval.value, estimate.n) == (3.0, 2)


def test_a_share_counts_seeds_that_end_below_the_limit_and_diverged_ones_above():
    """The Wilson interval of 2 of 3 at 95 %, from its formula."""
    rows = pd.concat([seeds_of("a", {0: [1.0], 1: [2.0]}), seeds_of("a", {2: [0.0]}, "diverged")])
    for limit, count in ((2.5, 2), (2.0, 1)):
        estimate = statistics.share_below(rows, 0.05, run="a", metric="loss", limit=limit)
        assert (estimate.interval.value, estimate.n) == (pytest.approx(count / 3), 3)
    z, p = 1.959964, 2 / 3
    low = (p + z * z / 6 - z * math.sqrt(p * (1 - p) / 3 + z * z / 36)) / (1 + z * z / 3)
    estimate = statistics.share_below(rows, 0.05, run="a", metric="loss", limit=2.5)
    assert estimate.interval.low == pytest.approx(low)


def test_ratio_pairs_shared_seeds_and_counts_divergence_as_the_ceiling():
    rows = pd.concat(
        [
            seeds_of("a", {0: [1.0], 1: [4.0], 2: [1.0]}),
            seeds_of("b", {0: [2.0], 1: [8.0], 9: [1.0]}),
            seeds_of("b", {2: [math.nan]}, "diverged"),
        ]
    )
    estimate = statistics.end_value_ratio(
        rows, 0.05, run="a", reference="b", metric="loss", ceiling=16.0
    )
    assert estimate.n == 3
    assert estimate.interval.value == pytest.approx((1 / 2 * 1 / 2 * 1 / 16) ** (1 / 3))
    with pytest.raises(ValueError, match="share no seed"):
        statistics.end_value_ratio(
            rows[rows["run"].eq("a") | rows["seed"].eq(9)],
            0.05,
            run="a",
            reference="b",
            metric="loss",
            ceiling=16.0,
        )


def three_seeds(run, centre, width):
    values = {seed: [centre + width * offset] for seed, offset in enumerate((0.0, 1.0, -1.0))}
    return seeds_of(run, values)


def toy_claim(runs):
    """Return a claim, "above 0", with a case for each run."""
    cases = [{"run": run, "metric": "loss"} for run in runs]
    claim = {"statistic": "mean_end_value", "comparison": "above", "threshold": [0.0]}
    return claim | {"experiment": "toy", "cases": cases}


def judged_toy(runs, rows):
    """Judge one claim."""
    data = {"toy": rows.assign(scale="smoke", data="")}
    return ledger.judge({"toy": toy_claim(runs)}, data, {"toy": []})


def test_a_claim_fails_if_one_case_does_and_waits_if_one_is_undecided():
    rows = pd.concat(
        [
            three_seeds("low", -1.0, 0.01),
            three_seeds("wide", 0.0, 1.0),
            three_seeds("high", 1, 0.01),
        ]
    )

    def outcome(*runs):
        return judged_toy(runs, rows)["claims"]["toy"]["verdict"]

    assert outcome("high") == "PASS"
    assert outcome("high", "wide") == "INCONCLUSIVE"
    assert outcome("high", "wide", "low") == "FAIL"
    assert outcome("high", "none") == "NOT RUN"
    assert judged_toy(["none"], rows)["claims"]["toy"]["missing"] == [
        "no 'loss' of run 'none' in 'toy'"
    ]
    claim = judged_toy(["high"], rows)["claims"]["toy"]
    claim |= {"cases": [{"metric": "loss"}], "experiment": "toy"}
    with pytest.raises(ValueError, match=r"claim 'toy': statistic mean_end_value: missing .* run"):
        ledger.judge({"toy": claim}, {"toy": rows}, {"toy": []})


def test_a_claim_may_compare_runs_of_two_experiments():
    """1 over 4 in each of two seeds; without the other experiment the claim is not run."""
    arguments = {"run": "a", "reference": "b", "metric": "loss", "ceiling": 9.0}
    claim = {"experiment": "toy", "also": ["far"], "statistic": "end_value_ratio"}
    claim |= {"comparison": "below", "threshold": [1.0], "cases": [arguments]}
    near, far = (
        seeds_of(run, {0: [value], 1: [value]}).assign(experiment=name, scale="smoke", data="")
        for run, value, name in (("a", 1.0, "toy"), ("b", 4.0, "far"))
    )
    nothing = {"toy": [], "far": []}
    found = ledger.judge({"one": claim}, {"toy": near, "far": far}, nothing)["claims"]["one"]
    assert (found["verdict"], found["cases"][0]["value"]) == ("PASS", pytest.approx(0.25))
    found = ledger.judge({"one": claim}, {"toy": near}, nothing)["claims"]["one"]
    assert (found["verdict"], found["missing"]) == ("NOT RUN", ["far"])


def test_holm_judges_what_is_left_at_a_larger_share():
    """p = 0.001, 0.02 and 0.04: 0.05/3, then 0.05/2; 0.02 passes there, and 0.04 at 0.05/1."""

    def case(p):
        return lambda share: "PASS" if p <= 0.05 * share else "INCONCLUSIVE"

    assert ledger.holm_share([case(p) for p in (0.001, 0.02, 0.04)]) == 1
    assert ledger.holm_share([case(p) for p in (0.001, 0.03, 0.04)]) == 1 / 2
    assert ledger.holm_share([case(p) for p in (0.02, 0.03, 0.04)]) == 1 / 3
    assert ledger.holm_share([]) == 1


def test_a_claim_that_is_clear_by_itself_may_not_survive_the_correction():
    """A mean of 1 with p = 0.03 beside two claims that say nothing: PASS only by itself."""
    rows = pd.concat([three_seeds("clear", 1.0, 0.3), *(three_seeds(n, 0.0, 1.0) for n in "ab")])
    claims = {run: toy_claim([run]) for run in ("clear", "a", "b")}
    data = {"toy": rows.assign(scale="smoke", data="")}
    judged = ledger.judge(claims, data, {"toy": []})
    (case,) = judged["claims"]["clear"]["cases"]
    assert (case["verdict"], case["alone"]["verdict"]) == ("INCONCLUSIVE", "PASS")
    assert case["low"] < 0 < case["alone"]["low"]
    assert judged["correction"] == {"toy": {"claims": 3, "share": pytest.approx(1 / 3)}}


def test_to_pass_each_case_has_all_of_alpha_and_to_fail_they_share_it():
    """A case with p = 0.03 passes beside others; it fails alone, but not as one of three."""
    rows = pd.concat([three_seeds("up", 1.0, 0.3), three_seeds("high", 1.0, 0.01)])
    assert judged_toy(["up", "high", "high"], rows)["claims"]["toy"]["verdict"] == "PASS"
    rows = pd.concat([three_seeds("down", -1.0, 0.3), three_seeds("high", 1.0, 0.01)])
    assert judged_toy(["down"], rows)["claims"]["toy"]["verdict"] == "FAIL"
    claim = judged_toy(["down", "high", "high"], rows)["claims"]["toy"]
    assert claim["verdict"] == "INCONCLUSIVE"
    assert claim["verdict_alone"] == "FAIL"


def test_counted_facts_have_no_width_and_must_be_one_number():
    rows = pd.concat([seeds_of("a", {0: [4.0]}), seeds_of("b", {0: [8.0]})])
    ratio = statistics.measured_ratio(rows, 0.05, run="a", reference="b", metric="loss")
    assert ratio == (stats.Interval(0.5, 0.5, 0.5), 1)
    with pytest.raises(ValueError, match="'loss' of run 'a' has 2 values; it is not a count"):
        statistics.measured(seeds_of("a", {0: [4.0], 1: [5.0]}), 0.05, run="a", metric="loss")


RESTED_ON = {name for claim in CLAIMS.values() for name in catalogue.rests_on(claim)}
# Claims that rest on an experiment without made-up runs are listed as not run.
EXPERIMENTS = sorted(name for name in RESTED_ON if hasattr(synthetic_runs, name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for experiment in EXPERIMENTS:
        paths = getattr(synthetic_runs, experiment)(folder / "runs")
        synthetic_runs.aggregated(paths, folder, experiment)
    return folder


def judged(tables, page, experiments=EXPERIMENTS):
    judge.main(["--tables", str(tables), "--output", str(page), "--experiments", *experiments])


def test_the_ledger_judges_every_claim(folder, tmp_path):
    judged(folder, tmp_path / "claims.md")
    result = store.read_json(tmp_path / "claims.json")
    found = result["claims"]
    assert set(found) == set(CLAIMS)
    made_up = {  # what the made-up runs of these experiments were made to show
        "unbiased_on_quadratic": "PASS",
        "truncated_es_biased_on_quadratic": "PASS",
        "truncated_es_wrong_way": "PASS",
        "pes_few_particles_diverges": "INCONCLUSIVE",  # 4 seeds: the interval is wide
        "mnist_truncated_es_worse": "PASS",
        "one_perturbation_per_particle": "PASS",
    }
    assert made_up.items() <= {name: claim["verdict"] for name, claim in found.items()}.items()
    claim = found["mnist_truncated_es_worse"]
    assert (claim["scale"], claim["data"]) == ("smoke", ["mnist"])
    assert (claim["hardware"], claim["memory_mb"]) == (["a processor"], 250.0)
    assert claim["seconds"] == 5 * 1.5
    assert claim["command"].endswith("scale=smoke experiments=mnist_lr_schedule")
    page = (tmp_path / "claims.md").read_text()
    ran = [name for name, claim in found.items() if claim["verdict"] != "NOT RUN"]
    assert all(f"[{name}](#{name})" in page and f"### {name}\n" in page for name in ran)
    html = (tmp_path / "claims.html").read_text()
    assert all(f"<td>{name}</td>" in html for name in CLAIMS)


def test_verdicts_and_intervals_agree(folder, tmp_path):
    judged(folder, tmp_path / "claims.md")
    for claim in store.read_json(tmp_path / "claims.json")["claims"].values():
        for case in claim["cases"]:
            for shown in (case, case["alone"]):
                bounds = [math.nan if shown[k] is None else shown[k] for k in ("low", "high")]
                where = cases.verdict(interval(*bounds), claim["comparison"], claim["threshold"])
                assert where == shown["verdict"]


def test_what_was_not_run_is_listed(folder, tmp_path):
    judged(folder, tmp_path / "claims-toy_regression.md", ["toy_regression"])
    found = store.read_json(tmp_path / "claims-toy_regression.json")["claims"]
    assert set(found) == set(CLAIMS)
    claim = found["es_single_variance_constant"]
    assert (claim["verdict"], claim["missing"]) == ("NOT RUN", ["variance_unrolls"])
    assert "influence_balancing" in found["outperforms_pes_synthetic"]["missing"]
    page = (tmp_path / "claims-toy_regression.md").read_text()
    assert "| es_single_variance_constant | S02 | variance_unrolls |" in page


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(SystemExit, match=r"^judge: .*_seeds.parquet is missing"):
        judged(tmp_path, tmp_path / "claims.md")
