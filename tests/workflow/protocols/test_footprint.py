"""What estimators need: counted through the public estimator, and from their files."""

import pytest

import estimators
import tasks
from workflow.lib.plan import spec
from workflow.lib.protocols import _build, _compute, footprint

OPTIONS = {"num_particles": 6, "sigma": 0.1, "truncation": 2}
DOCUMENTED = '''"""A module."""

import math  # in use


# a remark
def f(x: float) -> float:
    """Return the root.

    Of x.
    """
    if x > 0:
        return math.sqrt(x)
    return 0.0
'''


def counts(name, tmp_path, **options):
    task = tasks.toy_regression(horizon=8)
    settings = {"estimator": {"name": name, "args": OPTIONS | options}}
    checkpoint = _compute.Checkpoint(tmp_path / "checkpoint", {}, 20.0)
    outcome = footprint.run(
        task,
        _build.estimator(settings, task),
        range(1),
        checkpoint,
        file=f"estimators/{name}.py",
    )
    return outcome.rows.set_index("metric")["value"].to_dict()


@pytest.mark.parametrize(
    ("name", "options", "perturbations", "given"),
    [
        ("es_single", {}, 1, 0),
        ("pes", {}, 4, 1),
        ("es_gen", {"resample_every": 2}, 2, 0),
        ("es_gen", {"resample_every": 1}, 4, 1),
    ],
)
def test_perturbations_and_arrays(name, options, perturbations, given, tmp_path):
    """T/K = 4 unrolls, 3 pairs, 2 parameters."""
    found = counts(name, tmp_path, **options)
    assert found["perturbations"] == perturbations
    assert found["numbers_drawn"] == 3 * 2 * perturbations
    assert found["arrays_in_use"] - found["arrays_kept"] == given
    assert found["arrays_kept"] == (2 if name == "es_gen" else 1)


def test_code_is_counted_without_docstrings_and_remarks():
    assert footprint.code_size(DOCUMENTED) == {"statements": 5, "lines": 5}
    assert footprint.code_size("x = 1\n\n# y\n") == {"statements": 1, "lines": 1}


def test_what_cannot_be_counted_is_refused():
    task = tasks.toy_regression()
    with pytest.raises(ValueError, match="name one"):
        footprint.check(task, None, file="estimators/pes.py")
    estimator = estimators.pes(task, **OPTIONS)
    with pytest.raises(ValueError, match=r"file=estimators/pse.py does not exist"):
        footprint.check(task, estimator, file="estimators/pse.py")
    endless = tasks.influence_balancing()
    with pytest.raises(ValueError, match="the footprint needs a task with a horizon"):
        footprint.check(endless, estimators.pes(endless, **OPTIONS), file="estimators/pes.py")


def test_every_run_names_the_file_of_its_estimator():
    for job in spec.jobs("laptop", ("estimator_footprint",)):
        name = job.spec["estimator"]["name"]
        assert job.spec["protocol"]["args"]["file"] == f"estimators/{name}.py"
