"""The statistics of paths of θ that claims rest on: how far apart two are, and how straight one is.

The path of a seed is what its log points say about two outer parameters, the metrics `x` and `y`.
"""

import math

import numpy as np
import pandas as pd

from workflow.lib.claims.seed_values import (
    Estimate,
    at_equal_compute,
    end_values,
    geometric_ratio,
    mean_over_seeds,
    median_over_seeds,
    rows_of,
)


def path(seeds: pd.DataFrame, run: str, x: str, y: str) -> pd.DataFrame:
    """Return the paths of a run: columns `x` and `y`, indexed by seed and outer step, sorted.

    Raises:
        ValueError: the experiment has no such metric of such a run.
    """
    index = ["seed", "outer_step"]
    columns = {name: rows_of(seeds, run, name).set_index(index)["value"] for name in (x, y)}
    return pd.DataFrame(columns).sort_index()


def displacement(points: pd.DataFrame, x: str, y: str) -> pd.Series:
    """Return how far the last point of each seed's path is from the first; NaN if not finite.

    Args:
        points: from `path`.
        x: metric of one outer parameter.
        y: metric of the other.
    """
    seeds = points.groupby("seed")
    moves = seeds.last(skipna=False) - seeds.first(skipna=False)
    return np.hypot(moves[x], moves[y])


def wandering(points: pd.DataFrame, x: str, y: str) -> pd.Series:
    """Return the length of each seed's path over the distance between its ends.

    1 is a straight line; that of a path with a point that is not finite is inf.

    Args:
        points: from `path`.
        x: metric of one outer parameter.
        y: metric of the other.
    """
    moves = points.groupby("seed").diff()
    length = np.hypot(moves[x], moves[y]).groupby("seed").sum(min_count=1)
    return (length / displacement(points, x, y)).fillna(np.inf)


def path_distance(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, x: str, y: str
) -> Estimate:
    """Estimate the median over seeds of the largest distance between the paths of two runs.

    It is the distance at equal outer steps that both runs logged; that of a seed with a point that
    is not finite is +inf. A mean would be ruled by the rare seeds on which a chaotic meta-loss
    drives the paths apart.

    Raises:
        ValueError: the two runs share no log point.
    """
    one, other = path(seeds, run, x, y).align(path(seeds, reference, x, y), "inner", axis=0)
    if one.empty:
        raise ValueError(f"'{run}' and '{reference}' share no log point; give both one log_every")
    distance = np.hypot(one[x] - other[x], one[y] - other[y])
    distance = distance.where(np.isfinite(distance), np.inf)
    return median_over_seeds(distance.groupby("seed").max().to_numpy(), alpha)


def curve_distance(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Estimate the median over seeds of the largest |difference| between `metric` of two runs.

    It is that at equal outer steps that both runs logged, +inf for a seed with a value that is not
    finite.

    Raises:
        ValueError: the two runs share no log point.
    """
    index = ["seed", "outer_step"]
    one, other = (
        rows_of(seeds, name, metric).set_index(index)["value"] for name in (run, reference)
    )
    distance = (one - other).abs().reindex(one.index.intersection(other.index))
    if distance.empty:
        raise ValueError(f"'{run}' and '{reference}' share no log point; give both one log_every")
    distance = distance.where(np.isfinite(distance), np.inf)
    return median_over_seeds(distance.groupby("seed").max().to_numpy(), alpha)


def displacement_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, x: str, y: str, ceiling: float
) -> Estimate:
    """Estimate the geometric mean, over seeds, of how far `run` gets over how far `reference` does.

    It is the distance of the last log point from the first, in the plane of the metrics `x` and
    `y`, at equal compute. A distance above `ceiling`, or that is not finite, counts as `ceiling`.
    """
    seeds = pd.concat([at_equal_compute(seeds, (run, reference), name) for name in (x, y)])
    lengths = []
    for name in (run, reference):
        lengths.append(displacement(path(seeds, name, x, y), x, y).fillna(np.inf))
    return geometric_ratio(*lengths, ceiling, alpha)


def end_distance_difference(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, other: str, x: str, y: str
) -> Estimate:
    """Estimate how much nearer `run` ends to `reference` than to `other`: negative if it does.

    It is the mean, over the seeds that all three have, of the distance from the end of `run` to
    that of `reference` minus the distance to that of `other`. Runs end at equal compute, and the
    coordinates of an end are end values.
    """
    names = (run, reference, other)
    ends = [
        {name: end_values(at_equal_compute(seeds, names, axis), name, axis) for name in names}
        for axis in (x, y)
    ]
    first, second = (pd.DataFrame(axis).dropna() for axis in ends)
    to_reference, to_other = (
        np.hypot(first[run] - first[name], second[run] - second[name]) for name in names[1:]
    )
    difference = to_reference - to_other
    return mean_over_seeds(difference.where(np.isfinite(difference), np.inf).to_numpy(), alpha)


def off_line_share(
    seeds: pd.DataFrame, alpha: float, *, run: str, x: str, y: str, updates: int
) -> Estimate:
    """Estimate the share of the moves inside inner problems that leads off a line.

    The moves between the log points of an inner problem are split into those along one line, the
    one that takes most of them, and those across it. The share of a seed is the root of the sum of
    squared moves across, over all its problems, divided by that of all moves. It is +inf for a seed
    that does not move, or not to a finite place. The estimate is the mean over seeds.

    Args:
        seeds: the rows of every seed of an experiment.
        alpha: one minus the coverage of the interval.
        run: name of a run.
        x: metric of one outer parameter.
        y: metric of the other.
        updates: of θ in an inner problem; the log points of a problem are `updates` apart at most.

    Raises:
        ValueError: no inner problem has two moves.
    """
    shares = [
        _off_line(own.to_numpy(), own.index.get_level_values("outer_step") // updates)
        for _, own in path(seeds, run, x, y).groupby("seed")
    ]
    if np.isnan(shares).any():
        raise ValueError(
            f"updates={updates} of run '{run}' have fewer than two moves between log points; "
            f"log every {updates // 2} updates, or more often"
        )
    return mean_over_seeds(np.array(shares), alpha)


def _off_line(points: np.ndarray, problem: np.ndarray) -> float:
    """Return the share of a path's moves that leads off a line; NaN if no problem has two moves.

    Args:
        points: of a path, [n, 2].
        problem: the number of the inner problem that follows each point, [n].
    """
    moves = np.diff(points, axis=0)
    if not np.isfinite(moves).all():
        return math.inf
    parts = [moves[problem[:-1] == number] for number in np.unique(problem[:-1])]
    # Squared singular values: the sum of squared moves along the best line, and of those across.
    squares = [np.linalg.svd(part, compute_uv=False) ** 2 for part in parts if len(part) > 1]
    if not squares:
        return math.nan
    along, across = np.sum(squares, axis=0)
    return math.sqrt(across / (along + across)) if along else math.inf
