"""Publishing: what is refused and why, what is copied, and the pages that are written from it."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from tests.helpers.artifact import ROOT, call, git, snakemake, written
from workflow.lib.claims import cases, ledger
from workflow.lib.common import parquet, stats, store
from workflow.lib.plan import catalogue
from workflow.lib.plan.dag import Dag
from workflow.lib.report import parts, publication

pytestmark = pytest.mark.dag
EXPERIMENT = "estimator_footprint"
MAX_BYTES = 25e6  # of 25 experiments
ARCHIVE = {"commit": "no commit: an archive", "dirty": None}


def dag_of():
    return Dag.from_config({"scale": "smoke", "experiments": EXPERIMENT, "seeds": 0})


def copy(root, *files):
    for file in files:
        (root / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, root / file)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A committed copy of the artifact that has one small experiment, finished at smoke scale."""
    root = tmp_path_factory.mktemp("artifact")
    for name in ("estimators", "tasks", "workflow", "figures"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    copy(root, "Snakefile", "environment.yml", ".gitignore", *parts.PAGES)
    for path in (root / "workflow/config/experiments").iterdir():
        if path.stem != EXPERIMENT:
            path.unlink()
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "start")
    assert snakemake(root, "--cores", "2").returncode == 0
    return root


@pytest.fixture
def finished(run, monkeypatch):
    """The same, in which Snakemake has nothing to do, whatever the date of a file."""
    monkeypatch.chdir(run)
    monkeypatch.setattr(publication, "unfinished", lambda scale, root: "")
    return run


def publish(root):
    return call(root, "python", "-m", "workflow.scripts.publish", "--scale", "smoke")


def test_a_finished_run_is_published_and_the_pages_follow(run):
    stale = run / "results/published/tables/old_jobs.json"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.write_text("[]")
    done = publish(run)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("results/published: 8 files, 0.")
    assert done.stdout.endswith("MB; refreshed: README.md, ARTIFACT.md\n")
    names = {path.name for path in (run / "results/published").rglob("*") if path.is_file()}
    tables = {f"{EXPERIMENT}{suffix}" for suffix in (".parquet", "_seeds.parquet", "_jobs.json")}
    ledger = {"claims.md", "claims.json", "claims_summary.csv"}
    assert names == tables | ledger | {"README.md", "published.json"}
    facts = publication.facts(run)
    assert (facts["scale"], facts["jobs"], facts["experiments"]) == ("smoke", 5, [EXPERIMENT])
    assert 0 < facts["elapsed_s"] <= facts["job_s"] + 1
    page = (run / "results/published/README.md").read_text()
    assert facts["commits"][0] in page
    assert facts["versions"]["jax"] in page
    stale = (
        "import pathlib; from workflow.lib.report import parts; print(parts.stale(pathlib.Path()))"
    )
    assert call(run, "python", "-c", stale).stdout == "[]\n"
    again = call(run, "snakemake", "--cores", "1", "verify", "--config", "scale=smoke")
    assert again.returncode == 0, again.stdout
    assert "same bits" in again.stdout
    claims = catalogue.load("claims").values()
    resting = [claim for claim in claims if claim.get("experiment") == EXPERIMENT]
    assert f"{len(resting)} claims, 0 contradiction(s)" in again.stdout


def test_an_unfinished_run_is_refused_in_one_line(run):
    claims = run / "results/smoke/claims.md"
    content = claims.read_bytes()
    claims.unlink()
    done = publish(run)
    claims.write_bytes(content)
    assert done.returncode == 1
    assert done.stdout == (
        "publish: results/smoke cannot be published: 2 job(s) are not done; "
        "run snakemake --cores all --config scale=smoke\n"
    )


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda sidecar: sidecar["git"].update(dirty=True, commit="0" * 40), "differs from that"),
        (lambda sidecar: sidecar["git"].update(dirty=None), "made with an unknown commit"),
        (lambda sidecar: sidecar.update(git=ARCHIVE), "made with no commit: an archive"),
        (lambda sidecar: sidecar.update(content_sha256="0"), "damaged: .* repair: rm -f"),
    ],
)
def test_a_run_that_cannot_be_trusted_is_refused(finished, edit, reason):
    path = finished / next(iter(dag_of().jobs.values())).sidecar
    sidecar = store.read_json(path)
    edit(sidecar)
    with written(path, json.dumps(sidecar).encode()):
        line = publication.refusal("smoke", dag_of(), finished)
    assert line.startswith("results/smoke cannot be published: results/smoke/runs/")
    assert len(line.splitlines()) == 1
    assert re.search(reason, line)


def test_a_file_that_a_run_does_not_rest_on_may_differ(finished):
    path = finished / next(iter(dag_of().jobs.values())).sidecar
    sidecar = store.read_json(path)
    sidecar["git"]["dirty"] = True
    with written(path, json.dumps(sidecar).encode()):
        assert publication.refusal("smoke", dag_of(), finished) == ""
        settings = finished / f"workflow/config/experiments/{EXPERIMENT}.yaml"
        with written(settings, settings.read_bytes() + b"# not committed"):
            line = publication.refusal("smoke", dag_of(), finished)
    assert f"{EXPERIMENT}.yaml, which differs from that of" in line


def test_pauses_between_jobs_do_not_count_as_time():
    assert publication._covered([10.0, 12.0, 100.0], [5.0, 5.0, 10.0]) == 7.0 + 10.0


def test_a_packed_table_holds_the_same_in_fewer_bytes(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(size=5000).cumsum()
    frame = pd.DataFrame({"metric": "loss", "seed": np.arange(5000) // 100, "value": values})
    parquet.write(tmp_path / "table.parquet", frame)
    publication.pack(tmp_path / "table.parquet", tmp_path / "packed.parquet")
    pd.testing.assert_frame_equal(parquet.read(tmp_path / "packed.parquet"), frame)
    sizes = [(tmp_path / f"{name}.parquet").stat().st_size for name in ("packed", "table")]
    assert sizes[0] < sizes[1]


def test_the_published_pages_are_fresh():
    assert parts.stale(ROOT) == [], "stale: make readme"


def test_the_published_folder_is_small():
    files = [path for path in (ROOT / publication.FOLDER).rglob("*") if path.is_file()]
    kept = [path for path in files if path.suffix not in (".csv", ".html", ".log")]
    assert sum(path.stat().st_size for path in kept) < MAX_BYTES


@pytest.fixture
def pages(tmp_path):
    """A copy of the pages and of what is published."""
    shutil.copytree(ROOT / publication.FOLDER, tmp_path / publication.FOLDER)
    copy(tmp_path, *parts.PAGES)
    return tmp_path


def test_another_verdict_makes_both_pages_stale_until_they_are_written(pages):
    path = pages / publication.FOLDER / "claims.json"
    judged = store.read_json(path)
    judged["claims"]["copy_task_es_single_longer"]["verdict"] = cases.FAIL
    store.write_json(path, judged)
    assert parts.stale(pages) == ["README.md", "ARTIFACT.md"]
    assert parts.refresh(pages) == ["README.md", "ARTIFACT.md"]
    assert parts.stale(pages) == []
    assert "| copy_task_es_single_longer | S65 | " in (pages / "README.md").read_text()
    row = "| copy_task_es_single_longer (A7) | copy_task | above 0.5 | FAIL: es_single vs pes: "
    assert row in (pages / "ARTIFACT.md").read_text()


def test_an_unknown_part_is_named(pages):
    (pages / "ARTIFACT.md").write_text("<!-- generated: claim -->\n<!-- end -->\n")
    with pytest.raises(ValueError, match="there is no part 'claim'; there are run, verdict, abs"):
        parts.stale(pages)


def test_every_claim_has_its_row_with_the_experiments_of_its_command():
    page = (ROOT / "ARTIFACT.md").read_text()
    (pattern,) = re.findall(r"^    (snakemake .*claims .*)$", page, re.MULTILINE)
    for name, claim in catalogue.load("claims").items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {name} ")]
        chosen = row.split(" | ")[1]
        if chosen == "all":
            assert (
                catalogue.command(claim, "laptop") == "snakemake --cores all --config scale=laptop"
            )
        else:
            assert catalogue.command(claim, "laptop") == pattern.replace("EXPERIMENTS", chosen)


def test_a_claim_about_a_probability_can_pass_with_its_seeds():
    """If every seed agreed: else the claim would be undecided whatever the truth."""
    published = store.read_json(ROOT / publication.FOLDER / "claims.json")
    for name, claim in catalogue.load("claims").items():
        if claim["statistic"] == "improvement_probability":
            for case in published["claims"][name]["cases"]:
                alpha = stats.ALPHA * published["correction"][ledger.family(claim)]["share"]
                zeros = np.zeros(case["n"])
                best = stats.probability_of_improvement(zeros, zeros + 1, alpha)
                assert cases.verdict(best, claim["comparison"], claim["threshold"]) == "PASS", name


def test_the_ten_minutes_are_ten_minutes():
    """On the machine of the published run, with five minutes for everything else."""
    page = (ROOT / "ARTIFACT.md").read_text()
    chosen = re.search(r"^snakemake --cores all --config experiments=(\S+)", page, re.MULTILINE)[1]
    tables = ROOT / publication.FOLDER / "tables"
    files = [tables / f"{name}_jobs.json" for name in chosen.split(",")]
    jobs = [job for file in files if file.exists() for job in store.read_json(file)]
    cores = publication.facts(ROOT)["cores"]
    assert 0 < sum(job["timings"]["wall_s"] for job in jobs) / cores < 5 * 60
