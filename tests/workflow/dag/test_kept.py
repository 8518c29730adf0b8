"""Nothing finished is lost, and what is lost is made again, whatever the shell says.

All of it is done for real to a small copy of the artifact, which is no git checkout.
"""

import os
import shutil

import pytest

from tests.helpers.artifact import edited, planned, snakemake, with_more_code
from tests.helpers.small_artifact import FOLDER, LOG, MESSAGE, RUNS, contents, parquet, sidecar
from workflow.lib.common import store

pytestmark = pytest.mark.dag
SMOKE = "results/smoke"
LOST = (
    *(f"claims{end}" for end in (".md", ".html", ".json", "_summary.csv")),
    *(f"figures/fig_small.{suffix}" for suffix in ("pdf", "png", "csv")),
    *(f"tables/small{end}" for end in (".parquet", ".csv", "_seeds.parquet", "_jobs.json")),
    "runs/small/pes/seeds-100-101.parquet",
    "runs/small/es_single/seeds-100-101.json",
    "runs/small/mine/seeds-100-101.done",
)


@pytest.fixture(scope="module")
def kept(whole, tmp_path_factory):
    """A copy of the small artifact in which there is nothing to do."""
    folder = tmp_path_factory.mktemp("kept") / "a small artifact"
    shutil.copytree(whole, folder)
    assert snakemake(folder, "--cores", "2").returncode == 0
    return folder


def test_one_lost_file_of_each_kind_is_made_again(kept):
    """One at a time would do, too: that each is asked for is tested in test_dag.py."""
    expected = contents(kept)
    for file in LOST:
        (kept / SMOKE / file).unlink()
    done = snakemake(kept, "--cores", "2")
    assert done.returncode == 0, done.stdout
    assert [file for file in LOST if not (kept / SMOKE / file).is_file()] == []
    assert contents(kept) == expected


def test_a_figure_that_cannot_be_drawn_stays_as_it_was(kept):
    figures = [kept / SMOKE / f"figures/fig_small.{suffix}" for suffix in ("pdf", "png")]
    before = [file.read_bytes() for file in figures]
    broken = (kept / "figures/fig_small.py").read_text() + "\n\ndef draw(tables):\n    1 / 0\n"
    (kept / "figures/fig_small.py").write_text(broken)
    assert snakemake(kept, "--cores", "2").returncode == 1
    assert [file.read_bytes() for file in figures] == before
    assert planned(kept) == {"Figure: fig_small"}, "it is still to be drawn"
    (kept / "figures/fig_small.py").write_text(broken.rpartition("\n\ndef draw")[0])
    assert snakemake(kept, "--cores", "2").returncode == 0
    assert planned(kept) == set()


def test_a_table_that_cannot_be_made_stays_as_it_was(kept):
    names = [f"tables/small{end}" for end in (".parquet", ".csv", "_seeds.parquet")]
    tables = [kept / SMOKE / name for name in names]
    before = [file.read_bytes() for file in tables]
    with edited(
        kept / "workflow/scripts/aggregate.py", "def aggregate(", "1 / 0\n\n\ndef aggregate("
    ):
        assert snakemake(kept, "--cores", "2").returncode == 1
        assert [file.read_bytes() for file in tables] == before
        assert "Table: small" in planned(kept), "it is still to be made"
    assert snakemake(kept, "--cores", "2").returncode == 0
    assert planned(kept) == set()


def test_a_run_that_fails_leaves_the_finished_result_as_it_was(kept):
    files = [kept / name(run) for name in (parquet, sidecar) for run in RUNS]
    before = [file.read_bytes() for file in files]
    with with_more_code(kept / "workflow/scripts/run.py"):  # behind main(): it takes effect later
        script = kept / "workflow/scripts/run.py"
        script.write_text(script.read_text().replace("def execute(", "1 / 0\n\n\ndef execute(", 1))
        assert snakemake(kept, "--cores", "2", "--keep-going").returncode == 1
        assert "ZeroDivisionError" in (kept / LOG).read_text()
        assert [file.read_bytes() for file in files] == before
        assert MESSAGE in planned(kept)


def test_results_that_were_copied_here_are_kept(kept):
    """Snakemake has no record of them, and the data set is newer: all would run again."""
    before = [(kept / sidecar(run)).read_bytes() for run in RUNS]
    shutil.rmtree(kept / ".snakemake")
    for file in (kept / "data").iterdir():
        os.utime(file)
    assert MESSAGE in planned(kept)
    damaged = kept / parquet("mine")
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert snakemake(kept, "--cores", "2").returncode == 0
    assert planned(kept) == set()
    assert (kept / LOG).read_text().count("it is kept") == 2
    after = [(kept / sidecar(run)).read_bytes() for run in RUNS]
    assert after[:2] == before[:2]


def test_what_a_shell_says_changes_no_bit(kept, tmp_path):
    """Variables that stop jobs, or change their bits, where nothing is done against them."""
    expected, figure = contents(kept), kept / SMOKE / "figures/fig_small.png"
    drawn = figure.read_bytes()
    shutil.rmtree(kept / FOLDER)
    (kept / SMOKE / "figures/fig_small.csv").unlink()
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\naxes.facecolor: red\n")
    long = tmp_path / ("long" * 25)
    long.mkdir()
    shell = {
        "JAX_ENABLE_X64": "1",
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "JAX_DISABLE_JIT": "1",
        "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
        "PYTHONSAFEPATH": "1",
        "PYTHONIOENCODING": "latin-1",
        "MPLCONFIGDIR": str(tmp_path),
        "MPLBACKEND": "module://nowhere",
        "TMPDIR": str(long),
        "GIT_DIR": str(tmp_path),
    }
    done = snakemake(kept, "--cores", "2", **shell)
    assert done.returncode == 0, done.stdout
    assert contents(kept) == expected
    assert figure.read_bytes() == drawn
    for run in RUNS:
        recorded = store.read_json(kept / sidecar(run))
        assert "fast_math" not in recorded["variables"]["XLA_FLAGS"]
        assert recorded["git"] == {"commit": "no commit: an archive", "dirty": None}
    jobs = store.read_json(kept / SMOKE / "tables/small_jobs.json")
    assert all("XLA_FLAGS" in job["variables"] for job in jobs), "what `verify` compares"
