"""The particles of an estimator spread over devices: the path of one device, in a share of memory.

In float64, so that what rounding changes is far below what a mistake would.
"""

import re

import jax
import numpy as np
import pytest

import estimators
from tests.helpers import device_runs, toy_tasks
from tests.helpers.device_runs import COUNTS, NUM_PARTICLES, STATE, UPDATES, places
from tests.helpers.refusals import refused

ONE = (1,) * UPDATES
CASES = [(name, place) for name in device_runs.cases() for place in places(COUNTS)[1:]]
CASES += [(name, place) for name in device_runs.more_cases() for place in places((1, 4))[1:]]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("devices") / "found"
    return device_runs.measure("tests.helpers.device_runs", path)


@pytest.mark.parametrize(("case", "place"), CASES, ids=str)
def test_the_path_is_that_of_one_device(found, case, place):
    """Also where every update has other devices than the one before, by way of plain arrays."""
    reports, state = found["paths"][case][place]
    expected, last = found["paths"][case][ONE]
    assert all(np.abs(report["gradient"]).max() > 0 for report in expected)
    for report, other in zip(reports, expected, strict=True):
        for name, value in report.items():
            np.testing.assert_allclose(value, other[name], rtol=1e-9, atol=1e-9, err_msg=name)
    for leaf, other in zip(jax.tree.leaves(state), jax.tree.leaves(last), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", ["es_single, lockstep", "es_single, breakstep", "own keys"])
def test_perturbations_do_not_depend_on_the_devices(found, case):
    """Those of few outer parameters are drawn in one call, those of many pair by pair."""
    drawn = [state.memory for _, state in found["paths"][case].values()]
    for epsilon in drawn:
        np.testing.assert_array_equal(epsilon, drawn[0])
    assert len(np.unique(drawn[0])) == drawn[0].size


@pytest.mark.parametrize("case", ["lost pairs", "lost pairs, endless"])
def test_the_cases_with_lost_pairs_lose_some_and_not_all(found, case):
    reports, _ = found["paths"][case][ONE]
    lost = [int(report["nonfinite_pairs"]) for report in reports]
    assert 0 < sum(lost) < len(lost) * NUM_PARTICLES // 2


def test_seeds_are_mapped_over_devices_that_share_particles(found):
    np.testing.assert_allclose(found["seeds"][4], found["seeds"][1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "chunk_size", "count"), [("es_single", None, 2), ("es_single", None, 4), ("pes", 2, 4)]
)
def test_each_device_holds_its_share_of_the_states(found, name, chunk_size, count):
    """The rest, θ, clocks and ε, is less than a hundredth of the states."""
    own, alone = (found["compiled"][name, chunk_size, n] for n in (count, 1))
    states = NUM_PARTICLES * STATE * 8
    for what in ("argument", "output"):
        assert states <= alone[what] < 1.01 * states
        assert states / count <= own[what] < 1.01 * states / count
    # With a chunk_size, a step has room for the particles that run at a time as well.
    chunk = 0 if chunk_size is None else 2 * chunk_size * STATE * 8
    assert own["temporary"] < 1.01 * (states / count + chunk)


@pytest.mark.parametrize(("name", "chunk_size"), [("es_single", None), ("pes", 2)])
def test_devices_exchange_the_losses_and_one_sum(found, name, chunk_size):
    """The sum, [2], once more where pairs are lost, with what the others report of them."""
    assert found["compiled"][name, chunk_size, 1]["between"] == []
    lines = found["compiled"][name, chunk_size, 4]["between"]
    outside = [line for line in lines if "/while/" not in line]
    kinds = [re.search(r" = (\w+\[[\d,]*\])\S* ([\w-]+)\(", line).groups() for line in outside]
    assert sorted(kinds) == [("f64[2,8]", "all-gather"), ("f64[2]", "all-reduce")]


def test_one_device_is_the_estimator_itself():
    estimator = toy_tasks.build("es_single", toy_tasks.noisy(4))
    assert estimators.over_devices(estimator, jax.devices()[:1]) is estimator


@pytest.mark.parametrize("name", toy_tasks.ALL)
def test_what_has_no_pairs_cannot_be_spread(name):
    estimator = toy_tasks.build(name, toy_tasks.noisy(4))
    devices = jax.devices()[:1]
    if name in toy_tasks.FIVE:
        estimators.over_devices(estimator, devices)
    else:
        refused(["only antithetic ES"], estimators.over_devices, estimator, devices)


def test_devices_that_cannot_share_evenly_are_refused(found):
    estimator = toy_tasks.build("es_single", toy_tasks.noisy(4), num_particles=NUM_PARTICLES)
    (device,) = jax.devices()[:1]
    refused(["devices=[]", "at least one"], estimators.over_devices, estimator, [])
    refused(["each of them once"], estimators.over_devices, estimator, [device, device])
    assert found["refused"] == (
        "num_particles=16 makes 8 pairs, which 3 devices cannot share evenly; "
        "take num_particles=12, or other devices"
    )
