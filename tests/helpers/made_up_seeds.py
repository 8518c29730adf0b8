"""Made-up rows per seed, in the format that the statistics of claims read."""

import pandas as pd


def seeds_of(run, values, status="ok", metric="loss", cost=4):
    """Return rows of one run; `values` maps a seed to its log points, `cost` inner steps apart."""
    rows = [
        ("toy", run, seed, 10 * step, cost * step, metric, value, status)
        for seed, points in values.items()
        for step, value in enumerate(points)
    ]
    columns = ["experiment", "run", "seed", "outer_step", "inner_steps", "metric", "value"]
    table = pd.DataFrame(rows, columns=[*columns, "status"])
    return table.assign(estimator="pes", num_particles=4.0)
