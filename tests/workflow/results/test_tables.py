"""From run files to tables: what is counted, how diverged seeds are shown, what is refused."""

import time

import numpy as np
import pytest

from tests.helpers.synthetic_runs import aggregated, write_run
from workflow.lib.common import parquet, store
from workflow.lib.results import tables
from workflow.scripts import aggregate

DIVERGED = ["ok", "ok", "ok", "diverged"]


def loss(seeds=4, points=3):
    return {"loss": np.arange(1.0, seeds + 1)[:, None] * np.ones(points)}


def test_summary_counts_diverged_seeds_as_the_worst(tmp_path):
    values = loss()
    values["loss"][3] = np.nan
    path = write_run(tmp_path, "toy", "pes", values, estimator="pes", status=DIVERGED)
    row = aggregated([path], tmp_path, "toy")["toy"].iloc[-1]
    assert (row["n"], row["n_diverged"], row["n_nonfinite"]) == (4, 1, 1)
    assert (row["mean"], row["median"], row["iqm"]) == (2.0, 2.5, 2.5)
    assert (row["min"], row["max"], row["median_high"]) == (1.0, np.inf, np.inf)
    assert (row["num_particles"], row["scale"], row["inner_steps"]) == (4, "smoke", 80)


def test_blocks_of_seeds_and_runs_of_different_sizes_join(tmp_path):
    paths = [
        write_run(tmp_path, "toy", "pes", loss(), estimator="pes", first=first) for first in (0, 4)
    ]
    paths.append(write_run(tmp_path, "toy", "landscape", loss(seeds=2), landscape=True))
    made = aggregated(paths, tmp_path, "toy")
    summary = made["toy"].set_index("run")
    assert set(summary.loc["pes", "n"]) == {8}
    assert set(summary.loc["landscape", "n"]) == {2}
    assert list(summary.loc["landscape", "cell"]) == [0, 1, 2]
    assert set(summary.loc["landscape", "median"]) == {1.5}
    assert summary.loc["landscape", "sigma"].isna().all()
    assert len(made["toy_seeds"]) == 8 * 3 + 2 * 3
    jobs = store.read_json(tmp_path / "toy_jobs.json")
    assert [job["seeds"] for job in jobs] == [[0, 1], [0, 3], [4, 7]]
    assert jobs[1]["status"] == {"ok": 4}
    assert (tmp_path / "toy.csv").read_text().startswith("experiment,scale,data,run,")


def test_the_compute_of_a_point_is_the_mean_over_seeds(tmp_path):
    """Where inner problems differ in length, seeds have spent different compute at one update."""
    path = write_run(tmp_path, "toy", "pes", loss(), estimator="pes")
    rows = parquet.read(path)
    rows["inner_steps"] += 4 * rows["seed"] * (rows["outer_step"] > 0)
    parquet.write(path, rows)
    summary = aggregated([path], tmp_path, "toy")["toy"]
    assert summary["inner_steps"].tolist() == [0, 40 + 6, 80 + 6]
    assert set(summary["n"]) == {4}


def test_a_seed_in_two_files_is_refused(tmp_path):
    paths = [
        write_run(tmp_path, "toy", "pes", loss(), estimator="pes", first=first) for first in (0, 3)
    ]
    with pytest.raises(ValueError, match=r"seed 3 of run 'pes' is in both .*0-3.* and .*3-6"):
        tables.load_runs(paths)


def test_a_seed_that_stops_early_is_refused(tmp_path):
    path = write_run(tmp_path, "toy", "pes", loss(), estimator="pes")
    rows = parquet.read(path)
    parquet.write(path, rows[(rows["seed"] != 2) | (rows["outer_step"] < 20)])
    with pytest.raises(ValueError, match="run 'pes' has 3 of 4 seeds for 'loss' at outer step 20"):
        aggregated([path], tmp_path, "toy")


def test_experiments_do_not_mix(tmp_path):
    paths = [write_run(tmp_path, name, "pes", loss(), estimator="pes") for name in ("a", "b")]
    paths[1] = write_run(tmp_path, "b", "other", loss(), estimator="pes")
    with pytest.raises(ValueError, match=r"cannot mix experiments, got \['a', 'b'\]"):
        tables.load_runs(paths)


@pytest.mark.parametrize("damage", ["no run", "no sidecar", "cut run", "no status", "no timings"])
def test_a_missing_or_damaged_run_is_named(tmp_path, damage):
    path = write_run(tmp_path, "toy", "pes", loss(), estimator="pes")
    sidecar = path.with_suffix(".json")
    if damage == "no run":
        path.unlink()
    elif damage == "no sidecar":
        sidecar.unlink()
    elif damage == "cut run":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        content = store.read_json(sidecar)
        content[damage.removeprefix("no ")] = {}
        if damage == "no timings":
            del content["timings"]
        store.write_json(sidecar, content)
    with pytest.raises(SystemExit, match=r"^aggregate: .*seeds-0-3.*[^\n]$"):
        aggregate.main(["--runs", str(path), "--output", str(tmp_path / "toy.parquet")])
    assert not (tmp_path / "toy.parquet").exists()


def test_tables_have_the_same_bytes_whatever_the_order_of_the_files(tmp_path):
    paths = [write_run(tmp_path, "toy", run, loss(), estimator="pes") for run in ("a", "b")]
    aggregated(paths, tmp_path / "one", "toy")
    aggregated(paths[::-1], tmp_path / "two", "toy")
    for name in ("toy.parquet", "toy.csv", "toy_seeds.parquet", "toy_jobs.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_typical_experiment_takes_seconds(tmp_path):
    values = {f"metric_{i}": np.random.default_rng(i).normal(size=(20, 60)) for i in range(6)}
    paths = [
        write_run(tmp_path, "toy", f"run_{i}", values, estimator="pes", first=0) for i in range(12)
    ]
    start = time.process_time()
    aggregated(paths, tmp_path, "toy")
    assert time.process_time() - start < 5.0
