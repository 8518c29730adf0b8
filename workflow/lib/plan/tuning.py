"""The runs that tune for an experiment: its own runs, once in every cell of a grid.

`workflow/config/tuning/{name}.yaml` says which runs of experiment `name` are tuned, and over which
values of the outer learning rate and of σ. Task, estimator, data and outer optimizer are those of
the runs themselves. What is chosen stands in the experiment's file, by hand; a test compares it
with the grids that are published.
"""

from collections.abc import Mapping
from typing import Any

from workflow.lib.common.choices import check_choice

ENDING = "_tuning"  # of the name of a tuning experiment
# What a run's protocol says about how θ is moved, beside the learning rate.
OPTIMIZATION = ("outer_steps", "optimizer", "b1", "clip_norm", "cosine_decay")
PROTOCOL = ("grid", "outer_steps", "optimizer")  # what a file of tuning says about the protocol
SEEDS = ("seeds", "seeds_per_job")


def runs(
    name: str, content: Mapping[str, Any], scale: str, tuned: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return {run: settings} of a tuning experiment at a scale.

    Settings of the scale override those of the file; those of a run override both, and those of the
    scale for the run override all.

    Args:
        name: of the tuning experiment.
        content: of its file.
        scale: one of `spec.SCALES`.
        tuned: {run: settings} of the experiment that it tunes for, at this scale.

    Raises:
        ValueError: that experiment has no such run.
    """
    override = content.get("scales", {}).get(scale, {})
    found = {}
    for run, own in content["runs"].items():
        check_choice(f"run in tuning/{name.removesuffix(ENDING)}.yaml", run, tuple(tuned))
        layers = (content, override, own, override.get("runs", {}).get(run, {}))
        settings = {key: value for layer in layers for key, value in layer.items()}
        args = tuned[run]["protocol"]["args"]
        args = {key: args[key] for key in OPTIMIZATION if key in args}
        args |= {key: settings[key] for key in PROTOCOL if key in settings}
        found[run] = {key: tuned[run][key] for key in ("task", "data")}
        found[run]["estimator"] = _estimator(tuned[run]["estimator"], settings["grid"])
        found[run] |= {"protocol": {"name": "tuning", "args": args}}
        found[run] |= {key: settings[key] for key in SEEDS}
    return found


def _estimator(own: Mapping[str, Any], grid: Mapping[str, Any]) -> dict[str, Any]:
    """Return the estimator of a run with the middle values of the axes that are tuned.

    A tuning replaces them in every cell, so that it does not rest on what the run has now.
    """
    middle = {key: axis[len(axis) // 2] for key, axis in grid.items() if key in own["args"]}
    return {**own, "args": {**own["args"], **middle}}
