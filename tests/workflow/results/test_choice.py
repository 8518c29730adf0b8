"""The rule by which hyperparameters are chosen from a grid, and the files that hold the choice."""

import numpy as np
import pandas as pd
import pytest

from workflow.lib.common import parquet
from workflow.lib.results import choice
from workflow.scripts import choose


def table(**runs):
    """Return rows per seed: {run: [(cell, seed, longest, bits)]}, learning rate 1 / (1 + cell)."""
    rows = []
    for run, cells in runs.items():
        for cell, seed, longest, bits in cells:
            values = {"longest_copied": longest, "bits_per_character": bits}
            values |= {"learning_rate": 1 / (1 + cell)}
            values |= {} if run == "tbptt" else {"sigma": 0.1}
            rows += [(run, cell, seed, name, value) for name, value in values.items()]
    return pd.DataFrame(rows, columns=["run", "cell", "seed", "metric", "value"])


def test_the_longest_string_is_chosen_then_the_fewest_bits():
    rows = table(
        longest=[(0, 1000, 5, 0.1), (0, 1001, 1, 0.1), (1, 1000, 4, 0.3), (1, 1001, 4, 0.3)],
        bits=[(0, 1000, 4, 0.3), (1, 1000, 4, 0.2)],
        nan=[(0, 1000, 4, np.nan), (1, 1000, 4, 9.0)],
        first=[(0, 1000, 4, 0.2), (1, 1000, 4, 0.2)],
        tbptt=[(1, 1000, 1, 0.2)],
    )
    second = {"learning_rate": 0.5, "sigma": 0.1}
    grid = choice.grid(rows)
    assert choice.choose(grid) == {
        "longest": second,
        "bits": second,
        "nan": second,
        "first": {"learning_rate": 1.0, "sigma": 0.1},
        "tbptt": {"learning_rate": 0.5},
    }
    with pytest.raises(ValueError, match="lacks learning_rate, or every metric to choose by"):
        choice.grid(rows[rows["metric"] != "longest_copied"])
    assert len(grid) == 9, "every cell is in the table"
    row = grid[grid["run"] == "longest"].iloc[0]
    assert (row["cell"], row["seeds"], row["longest_copied"], row["chosen"]) == (0, 2, 3.0, False)


def test_without_strings_to_copy_the_lowest_training_loss_is_best():
    cells = {0: (1.0, 0.1), 1: (0.3, 0.2), 2: (0.2, np.nan), 3: (0.3, 0.2)}
    rows = [
        ("adam", cell, seed, name, value)
        for cell, losses in cells.items()
        for seed, loss in zip((1000, 1001), losses, strict=True)
        for name, value in {"loss": loss, "learning_rate": 1 / (1 + cell)}.items()
    ]
    table = pd.DataFrame(rows, columns=["run", "cell", "seed", "metric", "value"])
    chosen = choice.choose(choice.grid(table))
    assert chosen == {"adam": {"learning_rate": 0.5}}, "not the one that diverged"


def test_the_grid_is_written_with_what_was_chosen(tmp_path):
    parquet.write(tmp_path / "table.parquet", table(pes=[(3, 1000, 1, 0.2)]))
    output = ["--output", str(tmp_path / "grid.csv")]
    choose.main(["--table", str(tmp_path / "table.parquet"), *output])
    assert pd.read_csv(tmp_path / "grid.csv")["chosen"].tolist() == [True]
    with pytest.raises(SystemExit, match=r"choose: .*none.parquet is missing"):
        choose.main(["--table", str(tmp_path / "none.parquet"), *output])
