"""What estimators need: counted through the public estimator, and from their files."""

import functools

import pytest

import estimators
import tasks
from tests.helpers import protocol_runs
from workflow.lib.plan import spec
from workflow.lib.protocols import footprint

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


def counts(name, **options):
    task = tasks.toy_regression(horizon=8)
    factory = functools.partial(getattr(estimators, name), **OPTIONS | options)
    outcome = protocol_runs.run(footprint, task, factory, range(1), file=f"estimators/{name}.py")
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
def test_perturbations_and_arrays(name, options, perturbations, given):
    """The problem has T/K = 4 unrolls, 3 pairs and 2 parameters."""
    found = counts(name, **options)
    assert found["perturbations"] == perturbations
    assert found["numbers_drawn"] == 3 * 2 * perturbations
    assert found["arrays_in_use"] - found["arrays_kept"] == given
    assert found["arrays_kept"] == (2 if name == "es_gen" else 1)


def test_code_is_counted_without_docstrings_and_remarks():
    assert footprint.code_size(DOCUMENTED) == {"statements": 5, "lines": 5}
    assert footprint.code_size("x = 1\n\n# y\n") == {"statements": 1, "lines": 1}


def test_what_cannot_be_counted_is_refused():
    task, factory = tasks.toy_regression(), functools.partial(estimators.pes, **OPTIONS)
    with pytest.raises(ValueError, match="name one"):
        protocol_runs.run(footprint, task, None, file="estimators/pes.py")
    with pytest.raises(ValueError, match=r"file=estimators/pse.py does not exist"):
        protocol_runs.run(footprint, task, factory, file="estimators/pse.py")
    endless = tasks.influence_balancing()
    with pytest.raises(ValueError, match="the footprint needs a task with a horizon"):
        protocol_runs.run(footprint, endless, factory, file="estimators/pes.py")


def test_every_run_names_the_file_of_its_estimator():
    for job in spec.jobs("laptop", ("estimator_footprint",)):
        name = job.spec["estimator"]["name"]
        assert job.spec["protocol"]["args"]["file"] == f"estimators/{name}.py"
