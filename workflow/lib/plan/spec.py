"""From experiment YAML to jobs: what every run of the artifact is, before anything runs.

An experiment file names a task, an estimator and a protocol with their hyperparameters; a run may
override them, and so may a scale. The result is one plain, canonical specification per job, whose
sha256 decides whether a finished result is still the one that is asked for. Nothing here imports
jax, so that the Snakefile may use it.
"""

import functools
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema

from workflow.lib.common import store
from workflow.lib.common.choices import check_choice
from workflow.lib.common.paths import ROOT, WORKFLOW
from workflow.lib.plan.devices import check_devices

SCALES = ("smoke", "laptop", "paper")
FIRST_TUNING_SEED = 1000  # reporting seeds are below
PARTS = ("task", "estimator", "protocol")
FOLDERS = {
    "task": "tasks",
    "estimator": "estimators",
    "protocol": "workflow/lib/protocols",
}
NOT_NAMED = ("base", "telescoping")  # the contract, and a wrapper of tasks


class Knobs(NamedTuple):
    """The knobs of `snakemake --config`.

    Attributes:
        scale: one of `SCALES`, or "published".
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


class Job(NamedTuple):
    """One run of one experiment, for a block of seeds.

    Attributes:
        parquet: the result, relative to the repository root; its sidecar has the suffix `.json`.
        spec: the specification, plain JSON data.
    """

    parquet: Path
    spec: dict[str, Any]

    @property
    def mark(self) -> Path:
        """The file that Snakemake touches once the process of the job has ended well."""
        return self.parquet.with_suffix(".done")

    @property
    def sidecar(self) -> Path:
        """The sidecar, `.json`, which is written last and marks the result as finished."""
        return self.parquet.with_suffix(".json")


def canonical(spec: Mapping[str, Any]) -> str:
    """Return the one JSON text of a specification: sorted keys, no spaces."""
    return json.dumps(spec, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256(spec: Mapping[str, Any]) -> str:
    """Return the sha256 of the canonical JSON text."""
    return hashlib.sha256(canonical(spec).encode()).hexdigest()


def read_knobs(config: Mapping[str, Any]) -> Knobs:
    """Check the knobs of `snakemake --config` and return them.

    Args:
        config: {knob: value}, with every knob of config/default.yaml, but for `devices` and
            `device`, which have the defaults of `Knobs`.

    Raises:
        ValueError: an unknown knob, a value of a wrong type, or an unknown experiment.
    """
    schema = _schema("config")
    for knob in config:
        check_choice("--config knob", knob, tuple(schema["properties"]))
    check_schema(dict(config), "config", "--config")
    check_seeds(config["seeds"])
    where = {name: config[name] for name in ("devices", "device") if name in config}
    check_devices(where.get("devices", 1))
    chosen = config["experiments"]
    names = experiments() if chosen == "all" else tuple(sorted(set(chosen.split(","))))
    for name in names:
        check_choice("experiment", name, experiments())
    if config["scale"] not in SCALES and (chosen != "all" or config["seeds"]):
        raise ValueError(
            f"scale={config['scale']} has the experiments and seeds that were published; "
            "leave experiments= and seeds= out"
        )
    return Knobs(config["scale"], names, config["seeds"] or None, **where)


def check_seeds(seeds: Any) -> None:
    """Raise ValueError, one line, unless `seeds` is a number of them; 0 is everyone's own."""
    if type(seeds) is not int or not 0 <= seeds <= FIRST_TUNING_SEED:
        raise ValueError(
            f"seeds={seeds} must be a whole number, written with digits alone, from 0 (the "
            f"experiments' own) to {FIRST_TUNING_SEED}: from there on, seeds are for tuning"
        )


def modules(spec: Mapping[str, Any]) -> list[str]:
    """Return the dotted names of the modules that make a job's rows, with all that they import.

    They are the script that runs the job, and what the script imports by name: the job's task,
    protocol and estimator, and the learned optimizer if the job trains with one.

    Args:
        spec: the job's specification.
    """
    names = ["workflow.scripts.run", f"tasks.{spec['task']['name']}"]
    names += [f"workflow.lib.protocols.{spec['protocol']['name']}"]
    names += [f"estimators.{spec['estimator']['name']}"] if spec["estimator"] else []
    return names + (["tasks.learned_optimizer"] if "trained" in spec else [])


@functools.cache
def experiments() -> tuple[str, ...]:
    """Return the names of all experiments, sorted: the files of workflow/config/experiments."""
    return tuple(sorted(path.stem for path in (WORKFLOW / "config/experiments").glob("*.yaml")))


def accelerated(name: str) -> bool:
    """Return whether a card helps an experiment: where it runs is no setting of its runs."""
    return _load(name).get("accelerate", False)


def jobs(scale: str, names: tuple[str, ...] | None = None, seeds: int | None = None) -> list[Job]:
    """Return the jobs of experiments at a scale.

    Args:
        scale: one of `SCALES`.
        names: experiments; default: all of them.
        seeds: number of seeds, in place of the experiments' own.

    Raises:
        ValueError: unknown scale or experiment, or an invalid experiment file; the line says which.
    """
    check_choice("scale", scale, SCALES)
    return [job for name in names or experiments() for job in _experiment_jobs(name, scale, seeds)]


def _experiment_jobs(name: str, scale: str, seeds: int | None) -> Iterator[Job]:
    """Yield the jobs of one experiment: every run, its seeds in blocks of `seeds_per_job`."""
    for run, settings in _runs(name, scale).items():
        own, block, tuning = (settings.pop(key) for key in ("seeds", "seeds_per_job", "tuning"))
        start = FIRST_TUNING_SEED if tuning else 0
        total = own if tuning else seeds or own  # a choice rests on all of its seeds
        for first in range(start, start + total, block):
            last = min(first + block, start + total) - 1
            spec = {"experiment": name, "run": run, "scale": scale, "seeds": [first, last]}
            folder = Path("results", scale, "runs", name, run)
            yield Job(folder / f"seeds-{first}-{last}.parquet", spec | settings)


@functools.cache
def _load(name: str) -> dict[str, Any]:
    """Return the content of an experiment file, checked against its schema."""
    check_choice("experiment", name, experiments())
    path = WORKFLOW / "config/experiments" / f"{name}.yaml"
    content = store.read_yaml(path)
    check_schema(content, "experiment", path.name)
    return content


def _runs(name: str, scale: str) -> dict[str, dict[str, Any]]:
    """Return {run: settings} of an experiment at a scale.

    Settings of the scale override those of the experiment; those of a run override both, and those
    of the scale for the run override all.
    """
    experiment = _load(name)
    override = experiment.get("scales", {}).get(scale, {})
    unknown = set(override.get("runs", {})) - set(experiment["runs"])
    for run in unknown:
        check_choice(f"run in {name}.yaml, scales.{scale}", run, tuple(experiment["runs"]))
    base = _merge(experiment, override)
    runs = {}
    for run, own in experiment["runs"].items():
        settings = _merge(_merge(base, own), override.get("runs", {}).get(run, {}))
        for member, chosen in _swept(run, settings):
            where = f"{name}/{member}"
            parts = {part: _named(part, chosen.get(part), where) for part in PARTS}
            runs[member] = parts | {
                "data": chosen.get("data"),
                "seeds": chosen["seeds"],
                "seeds_per_job": chosen["seeds_per_job"],
                "tuning": chosen.get("tuning", False),
            }
            optional = ("tuned", "trained", "sweep")
            runs[member] |= {key: chosen[key] for key in optional if key in chosen}
    return runs


def _swept(run: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the runs of a sweep, `{run}_{value}`: one for each combination of its values.

    `sweep: {estimator.truncation: [1, 10]}` is two runs, each with `run` as its `sweep`; a run
    without a sweep is one, and has no `sweep`.
    """
    sweep = settings.get("sweep", {})
    for values in itertools.product(*sweep.values()):
        chosen = dict(settings) | ({"sweep": run} if sweep else {})
        for place, value in zip(sweep, values, strict=True):
            part, hyperparameter = place.split(".")
            chosen[part] = {**chosen.get(part, {}), hyperparameter: value}
        words = [f"{value:g}".replace(".", "p").replace("-", "m") for value in values]
        yield "_".join([run, *words]), chosen


def _merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `override` on top; a part under another name replaces the base's."""
    merged = dict(base)
    for key, value in override.items():
        same_part = (
            key in PARTS
            and isinstance(merged.get(key), Mapping)
            and isinstance(value, Mapping)
            and value.get("name", merged[key]["name"]) == merged[key]["name"]
        )
        merged[key] = {**merged[key], **value} if same_part else value
    return merged


def _named(kind: str, part: Mapping[str, Any] | None, where: str) -> dict[str, Any] | None:
    """Split a part into its name, which must be known, and its hyperparameters."""
    if part is None:
        return None
    if "name" not in part:
        raise ValueError(
            f"{where}: its {kind} has no name; give it one of {', '.join(known(kind))}"
        )
    check_choice(f"{kind} of {where}", part["name"], known(kind))
    return {"name": part["name"], "args": {k: v for k, v in part.items() if k != "name"}}


@functools.cache
def known(kind: str) -> tuple[str, ...]:
    """Return the names of all tasks, estimators or protocols: the files of their folder."""
    files = (ROOT / FOLDERS[kind]).glob("[a-z]*.py")
    return tuple(sorted(file.stem for file in files if file.stem not in NOT_NAMED))


def check_schema(content: Any, schema: str, source: str) -> None:
    """Raise ValueError, one line, if `content` does not fit schemas/{schema}.schema.yaml."""
    validator = jsonschema.Draft202012Validator(_schema(schema))
    error = jsonschema.exceptions.best_match(validator.iter_errors(content))
    if error is not None:
        where = error.json_path.removeprefix("$").removeprefix(".") or "top level"
        raise ValueError(f"{source}, {where}: {error.message}")


@functools.cache
def _schema(name: str) -> dict[str, Any]:
    """Return a JSON schema."""
    path = WORKFLOW / "schemas" / f"{name}.schema.yaml"
    return store.read_yaml(path)
