"""What CONTRIBUTING.md says to write by hand, for an experiment with the runs pes and es_single."""

import hashlib
from pathlib import Path

STATISTIC = '''

def lowest_value(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the mean over seeds of the lowest value of `metric` of `run`."""
    lowest = rows_of(seeds, run, metric).groupby("seed")["value"].min()
    return mean_over_seeds(lowest.to_numpy(), alpha)
'''
CLAIM = """
  mine_gets_low:
    sentence: The lowest meta-loss of ES-Single is below 1.
    source: ours
    statistic: lowest_value
    cases: [{run: es_single, metric: meta_loss}]
    comparison: below
    threshold: [1.0]
"""
COMPARISON = """
EXPERIMENT:
  title: A study
  family: synthetic
  experiment: EXPERIMENT
  metric: theta
  better: lower
  pairs: [[es_single, pes]]
"""
STATEMENT = (
    "S112: {says: It gets low, where: nowhere, kind: empirical, tests: [tests/test_rooms.py]}\n"
)
TUNING = """
grid: {learning_rate: [0.001, 0.01, 0.1]}
seeds: 2
seeds_per_job: 2
runs: {pes: {}, es_single: {}}
"""
FIGURES = "workflow/config/figures.yaml"
IN_THE_SUMMARY = "    - copy_task\n"  # the first of the experiments of fig_summary


DATA_SET = """
EXPERIMENT_rows:
  title: a table of three rows
  kind: table
  originals:
    rows.txt: "HASH"
"""
ROWS = b"1 2 3\n4 5 6\n7 8 9\n"


def add_statement(folder: Path, experiment: str) -> None:
    """Add a statement of the paper, which a test is about."""
    del experiment
    with (folder / "workflow/config/statements.yaml").open("a") as file:
        file.write(STATEMENT)


def add_tuning(folder: Path, experiment: str) -> None:
    """Add the tuning of both runs of the experiment."""
    (folder / f"workflow/config/tuning/{experiment}.yaml").write_text(TUNING)


def add_statistic(folder: Path, experiment: str) -> None:
    """Add a statistic to the artifact in `folder`, and a claim that names it."""
    _append(folder / "workflow/lib/claims/statistics.py", STATISTIC)
    _append(folder / f"workflow/config/claims/{experiment}.yaml", CLAIM)


def add_to_summary(folder: Path, experiment: str) -> None:
    """Add the task of an experiment to the summary of the artifact in `folder`."""
    entry = COMPARISON.lstrip().replace("EXPERIMENT", experiment)
    _append(folder / "workflow/config/comparisons.yaml", entry)
    figures = (folder / FIGURES).read_text(encoding="utf-8")
    before, mark, after = figures.partition(IN_THE_SUMMARY)
    (folder / FIGURES).write_text(f"{before}{mark}    - {experiment}\n{after}", encoding="utf-8")


def add_data_set(folder: Path, experiment: str) -> None:
    """Add a data set to the list of the artifact in `folder`, and its original file."""
    entry = DATA_SET.replace("EXPERIMENT", experiment)
    entry = entry.replace("HASH", hashlib.sha256(ROWS).hexdigest())
    _append(folder / "workflow/config/datasets.yaml", entry)
    (folder / "originals").mkdir()
    (folder / "originals/rows.txt").write_bytes(ROWS)


def _append(file: Path, text: str) -> None:
    """Write a text to the end of a file that is there."""
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")
