"""The runs of a sweep in a table: their unrolls, and the inner steps that share a perturbation."""

import numpy as np
import pandas as pd

ONE_WINDOW = ("es_single", "full_es")  # one perturbation for the whole inner problem


class MissingRows(ValueError):
    """A table lacks a run, or a metric of it."""


def members(table: pd.DataFrame, sweep: str) -> pd.DataFrame:
    """Return the runs of a sweep, one row each, sorted by unrolls and `resample_every`.

    Args:
        table: rows of an experiment, per seed or summarised; its estimators work in lockstep.
        sweep: name of the swept run in the experiment's YAML; its members' column `sweep` has it.

    Returns:
        Columns `run`, `unrolls` (T/K), `resample_every`, and `window`, the inner steps that share
        one perturbation.

    Raises:
        ValueError: there is no such run.
    """
    rows = table[table["sweep"] == sweep].drop_duplicates("run")
    if rows.empty:
        raise MissingRows(f"no run of the sweep '{sweep}' in '{table['experiment'].iloc[0]}'")
    horizon = (rows["inner_steps"] / rows["num_particles"]).round()
    every = rows["resample_every"].fillna(1)
    shared = np.where(rows["estimator"].isin(ONE_WINDOW), horizon, rows["truncation"] * every)
    columns = {"run": rows["run"], "unrolls": horizon / rows["truncation"]}
    columns |= {"resample_every": every, "window": shared.astype(int)}
    return pd.DataFrame(columns).sort_values(["unrolls", "resample_every"], ignore_index=True)
