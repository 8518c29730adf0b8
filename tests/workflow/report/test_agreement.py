"""A run of one's own against the published one: what agrees, what differs, what contradicts."""

import pytest

from tests.helpers import synthetic_runs
from workflow.lib.common import parquet, store
from workflow.lib.report import agreement
from workflow.scripts import judge, verify


def ledger_of(verdict, low, high, *more):
    cases = [
        {"value": (a + b) / 2, "low": a, "high": b, "verdict": verdict}
        for a, b in [(low, high), *more]
    ]
    return {"claims": {"toy": {"verdict": verdict, "cases": cases}}}


PASS, FAIL = ledger_of("PASS", 1.0, 2.0), ledger_of("FAIL", -2.0, -1.0)


@pytest.mark.parametrize(
    ("own", "published", "status"),
    [
        (PASS, ledger_of("PASS", 1.5, 3.0), "agrees"),
        (PASS, ledger_of("PASS", 2.5, 3.0), "CONTRADICTS"),
        (PASS, FAIL, "CONTRADICTS"),
        (PASS, ledger_of("INCONCLUSIVE", -1.0, 1.5), "undecided"),
        (PASS, ledger_of("INCONCLUSIVE", -1.0, 0.5), "CONTRADICTS"),
        (FAIL, FAIL, "agrees"),
        (ledger_of("PASS", 5.0, 5.0), ledger_of("PASS", 5.0001, 5.0001), "agrees"),
        (ledger_of("PASS", 5.0, 5.0), ledger_of("PASS", 6.0, 6.0), "CONTRADICTS"),
        (ledger_of("PASS", 1, 2, (1, 2)), ledger_of("PASS", 1, 2, (3, 4)), "CONTRADICTS"),
    ],
)
def test_claims(own, published, status):
    found = agreement.compare(own, published, {}, {})
    (_, row) = found.claims
    assert row[-1] == status
    assert found.contradictions == (["claim toy"] if status == "CONTRADICTS" else [])


def test_a_claim_that_one_of_them_did_not_run_is_left_out():
    not_run = {"claims": {"toy": {"verdict": "NOT RUN", "cases": []}}}
    assert len(agreement.compare(PASS, not_run, {}, {}).claims) == 1


def test_without_an_interval_there_is_no_conflict():
    nothing = ledger_of("INCONCLUSIVE", 0.0, 0.0)
    nothing["claims"]["toy"]["cases"][0] |= {"low": None, "high": None}
    assert agreement.compare(PASS, nothing, {}, {}).claims[1][-1] == "undecided"


ONE_THREAD = {"NPROC": "1"}
JOB = {
    "run": "pes",
    "seeds": [0, 3],
    "content_sha256": "a",
    "spec_sha256": "b",
    "code_sha256": "c",
    "cpu": "one",
    "backend": "cpu",
    "versions": {"jax": "1"},
}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "same bits"),
        ({"cpu": "another"}, "same bits"),
        ({"content_sha256": "x"}, "OTHER BITS"),
        ({"content_sha256": "x", "spec_sha256": "x"}, "other settings"),
        ({"content_sha256": "x", "code_sha256": "x"}, "other code or data"),
        ({"content_sha256": "x", "cpu": "another"}, "other platform"),
        ({"content_sha256": "x", "versions": {"jax": "2"}}, "other platform"),
        ({"content_sha256": "x", "variables": ONE_THREAD | {"XLA_FLAGS": ""}}, "OTHER BITS"),
        ({"content_sha256": "x", "variables": ONE_THREAD | {"XLA_FLAGS": "--a"}}, "other platform"),
        ({"content_sha256": "x", "variables": {"NPROC": None}}, "other platform"),
        ({"seeds": [4, 7]}, "not published"),
    ],
)
def test_jobs(change, status):
    found = agreement.compare(PASS, PASS, {"toy": [JOB | change]}, {"toy": [JOB]})
    heading, row = found.jobs
    assert dict(zip(heading, row, strict=True))[status] == "1"
    contradiction = ["toy/pes, seeds 0-3: other values on the same platform"]
    assert found.contradictions == (contradiction if status == "OTHER BITS" else [])


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository with the same made-up tables published and of a run of one's own."""
    for scale in ("published", "laptop"):
        folder = tmp_path / "results" / scale / "tables"
        paths = synthetic_runs.influence_balancing(tmp_path / "runs")
        synthetic_runs.aggregated(paths, folder, "influence_balancing")
    facts = {"scale": "laptop", "date": "2026-01-01", "cores": 2, "cpu": ["one"]}
    facts |= {"device_kind": ["cpu"], "system": "Linux"}
    store.write_json(tmp_path / "results/published/published.json", facts)
    monkeypatch.setattr(verify, "ROOT", tmp_path)
    monkeypatch.setattr(verify.spec, "jobs", lambda scale, names, seeds: [])
    monkeypatch.setattr(judge, "_current", lambda name, seeds, jobs: seeds)
    return tmp_path


def command(capsys, *arguments):
    status = verify.main(["--experiments", "influence_balancing", *arguments])
    return status, capsys.readouterr().out


def test_the_command_prints_both_tables(root, capsys):
    status, printed = command(capsys)
    assert status == 0
    assert "pes_few_particles_diverges" in printed
    assert printed.splitlines()[-1] == (
        "compared with the published run of 2026-01-01 on 2 cores of one, Linux: "
        "11 claims, 0 contradiction(s)"
    )
    assert command(capsys, "--scale", "smoke")[1].endswith("at laptop scale: no comparison\n")


def test_the_command_fails_on_a_contradiction(root, capsys):
    table = root / "results/laptop/tables/influence_balancing_seeds.parquet"
    rows = parquet.read(table)
    up = (rows["run"] == "truncated_es") & (rows["metric"] == "theta")
    rows.loc[up, "value"] = 1.0 - rows.loc[up, "value"]
    parquet.write(table, rows)
    jobs = root / "results/laptop/tables/influence_balancing_jobs.json"
    edited = store.read_json(jobs)
    edited[0]["content_sha256"] = "3" * 64
    store.write_json(jobs, edited)
    status, printed = command(capsys)
    assert status == 1
    assert "contradiction: claim truncated_es_wrong_way\n" in printed
    assert "contradiction: influence_balancing/es_single_n10, seeds 0-3: other values" in printed


def test_the_comparison_judges_both_alike(root):
    own, published = (
        judge.judged(root / "results" / scale / "tables", ["influence_balancing"])
        for scale in ("laptop", "published")
    )
    assert own == published
