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
from workflow.lib.plan import tuning

SCALES = ("smoke", "pilot", "laptop", "paper")
PILOT = "pilot"  # the settings of laptop scale on a few seeds that are never reported
FIRST_SEED = 100  # of those that results rest on
FIRST_TUNING_SEED = 1000  # of those that settings are chosen on: never reported
FIRST_PILOT_SEED = 1100
PILOT_SEEDS = 8  # of a run, at most
PARTS = ("task", "estimator", "protocol")
FOLDERS = {
    "task": "tasks",
    "estimator": "estimators",
    "protocol": "workflow/lib/protocols",
}
NOT_NAMED = ("base", "telescoping")  # the contract, and a wrapper of tasks


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


def modules(spec: Mapping[str, Any]) -> list[str]:
    """Return the dotted names of the modules that make a job's rows, with all that they import.

    They are the script that runs the job, and what the script imports by name: the job's task,
    protocol and estimator, the one that it is timed against, and the learned optimizer if the job
    trains with one.

    Args:
        spec: the job's specification.
    """
    names = ["workflow.scripts.run", f"tasks.{spec['task']['name']}"]
    names += [f"workflow.lib.protocols.{spec['protocol']['name']}"]
    names += [f"estimators.{spec['estimator']['name']}"] if spec["estimator"] else []
    args = spec["protocol"]["args"]
    names += [f"estimators.{args['against']}"] if "against" in args else []
    return names + (["tasks.learned_optimizer"] if "trained" in spec else [])


@functools.cache
def experiments() -> tuple[str, ...]:
    """Return the names of all experiments, sorted: the files of workflow/config/experiments."""
    return tuple(sorted(path.stem for path in (WORKFLOW / "config/experiments").glob("*.yaml")))


@functools.cache
def tunings(names: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the names of tuning experiments, sorted: `{name}_tuning` tunes experiment `name`.

    They are the files of workflow/config/tuning.

    Args:
        names: experiments; default: all of them.
    """
    stems = sorted(path.stem for path in (WORKFLOW / "config/tuning").glob("*.yaml"))
    return tuple(stem + tuning.ENDING for stem in stems if names is None or stem in names)


def tuned_for(name: str) -> str:
    """Return the experiment that a tuning experiment tunes for; another experiment is itself."""
    return name.removesuffix(tuning.ENDING) if name in tunings() else name


def keeps(name: str) -> str:
    """Return why an experiment keeps its constants, whatever this tuning chooses; or ""."""
    return _load(name).get("keeps", "")


def accelerated(name: str) -> bool:
    """Return whether a card helps an experiment: where it runs is no setting of its runs."""
    return _load(tuned_for(name)).get("accelerate", False)


def jobs(scale: str, names: tuple[str, ...] | None = None, seeds: int | None = None) -> list[Job]:
    """Return the jobs of experiments at a scale.

    Args:
        scale: one of `SCALES`.
        names: experiments, or tunings; default: all experiments.
        seeds: number of seeds, in place of the experiments' own.

    Raises:
        ValueError: unknown scale or experiment, or an invalid experiment file; the line says which.
    """
    check_choice("scale", scale, SCALES)
    return [job for name in names or experiments() for job in _experiment_jobs(name, scale, seeds)]


def _experiment_jobs(name: str, scale: str, seeds: int | None) -> Iterator[Job]:
    """Yield the jobs of one experiment: every run, its seeds in blocks of `seeds_per_job`."""
    for run, settings in _runs(name, scale).items():
        own, block = settings.pop("seeds"), settings.pop("seeds_per_job")
        if name in tunings():
            start, total = FIRST_TUNING_SEED, own  # a choice rests on all of its seeds
        elif scale == PILOT:
            start, total = FIRST_PILOT_SEED, seeds or min(own, PILOT_SEEDS)
        else:
            start, total = _load(name).get("first_seed", FIRST_SEED), seeds or own
        for first in range(start, start + total, block):
            last = min(first + block, start + total) - 1
            spec = {"experiment": name, "run": run, "scale": scale, "seeds": [first, last]}
            folder = Path("results", scale, "runs", name, run)
            yield Job(folder / f"seeds-{first}-{last}.parquet", spec | settings)


@functools.cache
def _load(name: str) -> dict[str, Any]:
    """Return the content of the file of an experiment, or of a tuning, checked by its schema."""
    check_choice("experiment", name, experiments() + tunings())
    if name in tunings():
        kind, path = "tuning", f"tuning/{tuned_for(name)}.yaml"
    else:
        kind, path = "experiment", f"experiments/{name}.yaml"
    content = store.read_yaml(WORKFLOW / "config" / path)
    check_schema(content, kind, path)
    return content


def _runs(name: str, scale: str) -> dict[str, dict[str, Any]]:
    """Return {run: settings} of an experiment at a scale.

    Settings of the scale override those of the experiment; those of a run override both, and those
    of the scale for the run override all.
    """
    scale = "laptop" if scale == PILOT else scale
    if name in tunings():
        return tuning.runs(name, _load(name), scale, _runs(tuned_for(name), scale))
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
            }
            runs[member] |= {key: chosen[key] for key in ("trained", "sweep") if key in chosen}
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


def check_schema(content: Any, kind: str, source: str) -> None:
    """Raise ValueError, one line, if `content` does not fit schemas/{kind}.schema.yaml."""
    validator = jsonschema.Draft202012Validator(schema(kind))
    error = jsonschema.exceptions.best_match(validator.iter_errors(content))
    if error is not None:
        where = error.json_path.removeprefix("$").removeprefix(".") or "top level"
        raise ValueError(f"{source}, {where}: {error.message}")


@functools.cache
def schema(name: str) -> dict[str, Any]:
    """Return a JSON schema."""
    path = WORKFLOW / "schemas" / f"{name}.schema.yaml"
    return store.read_yaml(path)
