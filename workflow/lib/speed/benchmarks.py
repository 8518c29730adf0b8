"""docs/benchmarks.md: the speeds that `make benchmark` measured, and on which machine.

The numbers are in docs/benchmarks.json. The page is laid out by `templates/benchmarks.md.j2`, and
the picture is drawn, from these numbers alone.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn as sns

from workflow.lib.common import provenance, store
from workflow.lib.report import style
from workflow.lib.report.layout import render
from workflow.lib.speed import scaling

NUMBERS, PAGE, PICTURE = (Path("docs") / f"benchmarks.{kind}" for kind in ("json", "md", "png"))
PARTS = ("peers", "floors", "tasks", "scaling")
RECORDED = ("cpu", "python", "jax", "jaxlib", "numpy")
WIDTH = 36  # of a name on the screen


def line(part: str, row: Mapping[str, Any]) -> str:
    """Return a measurement as a line for the screen.

    Args:
        part: a name in `PARTS`.
        row: as the part's `measure` returns it.
    """
    return LINES[part](row)


def write(part: str, rows: Any, root: Path) -> Path | None:
    """Write the numbers of a part, and the page and the picture if no other part is missing.

    Numbers of another machine, or of other versions, are dropped: a page is about one of them.

    Args:
        part: a name in `PARTS`.
        rows: of its measurements.
        root: the repository's folder.

    Returns:
        The page, relative to the repository; None if parts are missing.
    """
    environment = provenance.environment()
    machine = {name: environment[name] for name in RECORDED} | {"cores": os.cpu_count()}
    known = store.read_json(root / NUMBERS) if (root / NUMBERS).exists() else {}
    if known.get("machine") != machine:
        known = {"machine": machine}
    numbers = known | {part: rows}
    store.write_json(root / NUMBERS, numbers)
    if not set(PARTS) <= set(numbers):
        return None
    with store.atomic_write(root / PAGE) as temporary:
        temporary.write_text(page(numbers), encoding="utf-8")
    with store.atomic_write(root / PICTURE) as temporary:
        draw(numbers, temporary)
    return PAGE


def page(numbers: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        numbers: the content of docs/benchmarks.json.
    """
    points = pd.DataFrame(numbers["scaling"])
    exponents = [
        {
            "axis": axis,
            "linear": scaling.EXPONENTS[axis],
            **{
                name: scaling.exponent(own.to_dict("records"))
                for name, own in rows.groupby("estimator")
            },
        }
        for axis, rows in points.groupby("axis", sort=False)
    ]
    return render(
        "benchmarks.md.j2",
        **numbers | {"tasks": [_with_shares(row) for row in numbers["tasks"]]},
        base=scaling.BASE,
        exponents=exponents,
        picture=PICTURE.name,
        speed=speed,
        label=lambda name: style.estimator(name)["label"],
    )


def draw(numbers: Mapping[str, Any], path: Path) -> None:
    """Draw the time of an update against each of its sizes, relative to the smallest.

    Args:
        numbers: the content of docs/benchmarks.json.
        path: of the picture.
    """
    points = pd.DataFrame(numbers["scaling"])
    groups = points.groupby("axis", sort=False)
    figure, panels = style.subplots(len(groups), style.PAGE_WIDTH, 1.7)
    looks = {name: style.estimator(name) for name in points["estimator"].unique()}
    for panel, (axis, rows) in zip(panels, groups, strict=True):
        first = rows.groupby("estimator")["step_s"].transform("first")
        rows = rows.assign(times=rows["step_s"] / first)
        sns.lineplot(rows, x="value", y="times", ax=panel, **style.lines(looks, "estimator"))
        sns.scatterplot(rows, x="value", y="times", ax=panel, **style.points(looks, "estimator"))
        values = rows["value"].unique()
        panel.plot(values, (values / values[0]) ** scaling.EXPONENTS[axis], ":", color="0.5")
        panel.set(xlabel=axis, ylabel="", xscale="log", yscale="log", ylim=(0.6, 14))
        panel.set_xticks(values, [str(value) for value in values], minor=False)
        panel.set_yticks([1, 2, 4, 8], ["1", "2", "4", "8"] if panel is panels[0] else [])
        panel.minorticks_off()
    panels[0].set_ylabel("Time of an update\n(smallest = 1)")
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=2)
    figure.savefig(path, format="png", metadata={"Software": None})


def speed(steps_per_s: float) -> str:
    """Return a speed with three digits: "1.45 M" or "168,000"."""
    if steps_per_s >= 1e6:
        return f"{steps_per_s / 1e6:.3g} M"
    return f"{float(f'{steps_per_s:.3g}'):,.0f}"


def _with_shares(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a task with its speed as shares of both limits."""
    return {
        **row,
        "matmul_share": row["steps_per_s"] * row["flops"] / row["matmul_flops"],
        "copy_share": row["steps_per_s"] * row["bytes"] / row["copy_bytes"],
    }


def _cost(row: Mapping[str, Any]) -> str:
    """Return the end of a line: seconds to compile, and peak memory."""
    return f"compile {row['compile_s']:5.2f} s  peak {row['peak_memory_mb']:5.0f} MB"


def _floor(row: Mapping[str, Any]) -> str:
    share = "" if row["matmul_share"] is None else f"{row['matmul_share']:.0%} of matmul"
    verdict = {None: "", True: f"floor {row['floor']}: ok", False: f"floor {row['floor']}: BELOW"}
    return (
        f"{row['case']:{WIDTH}} {speed(row['steps_per_s']):>8}/s  {share:13}  {_cost(row)}"
        f"  {verdict[row['reached']]}"
    )


def _task(row: Mapping[str, Any]) -> str:
    shares = _with_shares(row)
    return (
        f"{row['task'] + ', ' + row['estimator']:{WIDTH}} {speed(row['steps_per_s']):>8}/s"
        f"  {shares['matmul_share']:6.1%} of matmul  {shares['copy_share']:6.1%} of copy"
        f"  {_cost(row)}"
    )


def _scale(row: Mapping[str, Any]) -> str:
    name = f"{row['estimator']}, {row['axis']} = {row['value']}"
    return f"{name:{WIDTH}} {row['step_s'] * 1e6:10.1f} µs an update"


def _peer(row: Mapping[str, Any]) -> str:
    name = f"{row['case']}, {row['estimator']}"
    return (
        f"{name:{WIDTH}} {speed(row['ours']):>8}/s  {row['peer']}: {speed(row['theirs'])}/s"
        f"  ratio {row['ours'] / row['theirs']:.2f}"
    )


LINES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "floors": _floor,
    "tasks": _task,
    "scaling": _scale,
    "peers": _peer,
}
