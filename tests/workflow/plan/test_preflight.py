"""Everything that a YAML file can get wrong is one clear line before any compute."""

import copy
import math
import re

import pytest

from workflow.lib.plan import spec
from workflow.scripts import preflight

SMOKE = {(job.spec["experiment"], job.spec["run"]): job.spec for job in spec.jobs("smoke")}
QUADRATIC = ("quadratic_bias", "pes")
MNIST = ("mnist_lr_schedule", "es_single")
LANDSCAPE = ("mnist_lr_schedule", "landscape")
BALANCING = ("influence_balancing", "tbptt_k1")


@pytest.mark.parametrize("scale", spec.SCALES)
def test_every_experiment_passes_at_every_scale(scale, capsys):
    preflight.main(["--scale", scale])
    assert "all hyperparameters are valid" in capsys.readouterr().out


def axes(**changes):
    return {"log_decay": [-1, 1, 3], "log_lr": [-1, 1, 3]} | changes


WRONG = [
    (QUADRATIC, "estimator", "num_particle", 4, "unknown .* 'num_particle'; .* 'num_particles'"),
    (QUADRATIC, "estimator", "num_particles", 5, "num_particles=5 must be even .* try 6"),
    (QUADRATIC, "estimator", "num_particles", 4.0, "num_particles=4.0 must be of type int"),
    (QUADRATIC, "estimator", "num_particles", True, "num_particles=True must be of type int"),
    (QUADRATIC, "estimator", "sigma", 0, "sigma=0 must be positive"),
    (QUADRATIC, "estimator", "sigma", -0.1, "sigma=-0.1 must be positive"),
    (QUADRATIC, "estimator", "sigma", float("nan"), "sigma=nan must be positive and finite"),
    (QUADRATIC, "estimator", "sigma", "1e-1", "sigma='1e-1' must be of type float"),
    (QUADRATIC, "estimator", "sigma", None, "sigma=None must be of type float"),
    (QUADRATIC, "estimator", "truncation", 3, "horizon=20 is not a multiple of truncation=3"),
    (QUADRATIC, "estimator", "truncation", 0, "truncation=0 must be at least 1"),
    (QUADRATIC, "task", "horizn", 20, "hyperparameter of task quadratic 'horizn'.*'horizon'"),
    (QUADRATIC, "task", "num_units", 0, "num_units=0.* at least 1"),
    (QUADRATIC, "protocol", "log_every", 1, "hyperparameter of protocol .* 'log_every'"),
    (MNIST, "estimator", "chunk_size", 0, "chunk_size=0 must lie between 1 and"),
    (MNIST, "task", "hidden", 16, "hidden=16 must be of type"),
    (MNIST, "task", "hidden", ["16"], r"hidden=\['16'\] must be of type"),
    (MNIST, "task", "pool", 3, "pool=3 must divide the image size 28x28"),
    (MNIST, "protocol", "learning_rate", 0, "learning_rate=0 must be positive"),
    (MNIST, "protocol", "learning_rate", -0.01, "learning_rate=-0.01 must be positive"),
    (MNIST, "protocol", "learning_rate", float("nan"), "learning_rate=nan must be positive"),
    (MNIST, "task", "init_lr", float("nan"), "init_lr=nan, .* must be positive"),
    (MNIST, "protocol", "b1", 1.0, r"b1=1.0 must lie in \[0, 1\)"),
    (MNIST, "protocol", "log_every", 3, "log_every=3 must divide outer_steps=20"),
    (MNIST, "protocol", "log_every", 0, "log_every=0 must divide"),
    (MNIST, "protocol", "outer_steps", 0, "outer_steps=0 must be at least 1"),
    (MNIST, "protocol", "optimizer", "adm", "unknown optimizer 'adm'; the nearest is 'adam'"),
    (LANDSCAPE, "protocol", "grid", {}, "grid has 0 axes; a landscape has 1 or 2"),
    (LANDSCAPE, "protocol", "grid", axes(log_lr=[0, 1, 0]), r"log_lr=\[0, 1, 0\] must be"),
    (LANDSCAPE, "protocol", "grid", axes(log_lr=[1, 0, 5]), r"log_lr=\[1, 0, 5\] must be"),
    (LANDSCAPE, "protocol", "grid", axes(log_lr=[0, math.nan, 5]), "nan, 5.* all finite"),
    (LANDSCAPE, "protocol", "grid", axes(log_lr=[0, 1, math.nan]), "1, nan.* all finite"),
    (LANDSCAPE, "protocol", "grid", axes(log_lr=[0, math.inf, 5]), "inf, 5.* all finite"),
    (LANDSCAPE, "protocol", "grid", {"log_decay": [0, 1, 2], "lr": [0, 1, 2]}, "'lr'.*'log_lr'"),
    (BALANCING, "task", "num_positive", 30, "num_positive=30 must lie between 0 and num_units=23"),
]


def refusal(job):
    """Return the one line with which preflight refuses a job; it names experiment and run."""
    with pytest.raises(ValueError, match=f"^{job['experiment']}/{job['run']}: ") as error:
        preflight.check(job)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("run", "part", "key", "value", "line"),
    WRONG,
    ids=[f"{part}-{key}={value}" for _, part, key, value, _ in WRONG],
)
def test_a_wrong_hyperparameter_is_one_line(run, part, key, value, line):
    job = copy.deepcopy(SMOKE[run])
    job[part]["args"][key] = value
    assert re.search(line, refusal(job))


@pytest.mark.parametrize(
    ("run", "part", "key"),
    [
        (QUADRATIC, "estimator", "sigma"),
        (MNIST, "protocol", "outer_steps"),
        (LANDSCAPE, "protocol", "grid"),
    ],
)
def test_a_missing_hyperparameter_is_named(run, part, key):
    job = copy.deepcopy(SMOKE[run])
    del job[part]["args"][key]
    assert f"missing hyperparameter {key}" in refusal(job)


@pytest.mark.parametrize(
    ("run", "change", "line"),
    [
        (QUADRATIC, {"data": "mnist"}, "task quadratic takes no data; .* says data: mnist"),
        (MNIST, {"data": None}, "task lr_schedule needs data"),
        (MNIST, {"data": "mnits"}, "unknown data set 'mnits'; the nearest is 'mnist'"),
        (QUADRATIC, {"estimator": None}, "gradient_variance needs an estimator"),
        (MNIST, {"estimator": None}, "meta_training needs an estimator"),
        (LANDSCAPE, {"estimator": SMOKE[MNIST]["estimator"]}, "a landscape has no estimator"),
        (
            BALANCING,
            {"protocol": {"name": "gradient_variance", "args": {}}},
            "needs a task with an exact gradient and a horizon",
        ),
    ],
)
def test_parts_that_do_not_fit_together_are_one_line(run, change, line):
    assert re.search(line, refusal(SMOKE[run] | change))


def test_the_command_ends_with_one_line(capsys):
    with pytest.raises(SystemExit, match="preflight: unknown experiment 'quadratic'; the nearest"):
        preflight.main(["--experiments", "quadratic"])
    assert capsys.readouterr().out == ""
