"""The knobs of `snakemake --config`: which experiments, at which scale, with how many seeds."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from workflow.lib.common.choices import check_choice
from workflow.lib.plan import spec
from workflow.lib.plan.devices import check_devices


class Knobs(NamedTuple):
    """The knobs of `snakemake --config`.

    Attributes:
        scale: one of `spec.SCALES`, or "published".
        experiments: names of experiments.
        seeds: number of seeds in place of the experiments' own, or None.
        devices: that the particles of a job are spread over.
        device: "cpu", "gpu", or "auto": a card if there is one. Runs that a card does not help
            are on the CPU all the same.
    """

    scale: str
    experiments: tuple[str, ...]
    seeds: int | None
    devices: int = 1
    device: str = "auto"


def read(config: Mapping[str, Any]) -> Knobs:
    """Check the knobs of `snakemake --config` and return them.

    Args:
        config: {knob: value}, with every knob of config/default.yaml, but for `devices` and
            `device`, which have the defaults of `Knobs`.

    Raises:
        ValueError: an unknown knob, a value of a wrong type, or an unknown experiment.
    """
    schema = spec.schema("config")
    for knob in config:
        check_choice("--config knob", knob, tuple(schema["properties"]))
    spec.check_schema(dict(config), "config", "--config")
    check_seeds(config["seeds"])
    where = {name: config[name] for name in ("devices", "device") if name in config}
    check_devices(where.get("devices", 1))
    chosen = config["experiments"]
    names = spec.experiments() if chosen == "all" else tuple(sorted(set(chosen.split(","))))
    for name in names:
        check_choice("experiment", name, spec.experiments())
    if config["scale"] not in spec.SCALES and (chosen != "all" or config["seeds"]):
        raise ValueError(
            f"scale={config['scale']} has the experiments and seeds that were published; "
            "leave experiments= and seeds= out"
        )
    return Knobs(config["scale"], names, config["seeds"] or None, **where)


def check_seeds(seeds: Any) -> None:
    """Raise ValueError, one line, unless `seeds` is a number of them; 0 is everyone's own."""
    most = spec.FIRST_TUNING_SEED - spec.FIRST_SEED
    if type(seeds) is not int or not 0 <= seeds <= most:
        raise ValueError(
            f"seeds={seeds} must be a whole number, written with digits alone, from 0 (the "
            f"experiments' own) to {most}: those from {spec.FIRST_TUNING_SEED} on are for tuning"
        )
