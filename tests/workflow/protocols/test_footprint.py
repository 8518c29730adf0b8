"""What estimators need: counted through the public estimator."""

import functools

import pytest

import estimators
import tasks
from tests.helpers import protocol_runs
from workflow.lib.protocols import footprint

OPTIONS = {"num_particles": 6, "sigma": 0.1, "truncation": 2}


def counts(name, **options):
    task = tasks.toy_regression(horizon=8)
    factory = functools.partial(getattr(estimators, name), **OPTIONS | options)
    outcome = protocol_runs.run(footprint, task, factory, range(1))
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


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="name one"):
        protocol_runs.run(footprint, tasks.toy_regression(), None)
    factory = functools.partial(estimators.pes, **OPTIONS)
    with pytest.raises(ValueError, match="the footprint needs a task with a horizon"):
        protocol_runs.run(footprint, tasks.influence_balancing(), factory)
