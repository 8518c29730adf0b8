"""How much smaller than in the paper the problem is that a verdict is about: unrolls, and N."""

import functools
from collections.abc import Mapping
from typing import Any

from workflow.lib.plan import spec

PAPER = "paper"


def text(claim: Mapping[str, Any]) -> str:
    """Return "unrolls 1,000/5,000, N 10/1,000": the sizes of a claim's scale over the paper's.

    They are those of the first run that the claim names, where they differ; "" if nothing does, or
    for a claim about several experiments.

    Args:
        claim: that was judged, with its scale.
    """
    if "experiment" not in claim or claim["scale"] not in spec.SCALES:
        return ""
    names = [case["arguments"].get("run", "") for case in claim["cases"]]
    ours, papers = (_sizes(claim["experiment"], scale) for scale in (claim["scale"], PAPER))
    run = next((name for name in names if name in ours and name in papers), None)
    if run is None:
        return ""
    pairs = {key: (ours[run][key], papers[run][key]) for key in ours[run] if key in papers[run]}
    return ", ".join(f"{key} {a:,}/{b:,}" for key, (a, b) in pairs.items() if a != b)


@functools.cache
def _sizes(experiment: str, scale: str) -> dict[str, dict[str, int]]:
    """Return {run: {"unrolls": of an inner problem, "N": particles}}, as far as a run has them."""
    found = {}
    for job in spec.jobs(scale, (experiment,)):
        args = {**job.spec["task"]["args"], **(job.spec["estimator"] or {"args": {}})["args"]}
        sizes = {}
        if args.get("horizon") and "truncation" in args:
            sizes["unrolls"] = args["horizon"] // args["truncation"]
        if "num_particles" in args:
            sizes["N"] = args["num_particles"]
        found[job.spec["run"]] = sizes
    return found
