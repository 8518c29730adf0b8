"""The particles of an estimator spread over devices: the path of one device, in a share of memory.

In float64, so that what rounding changes is far below what a mistake would.
"""

import re

import jax
import numpy as np
import pytest

import estimators
from tests.helpers import device_runs, toy_tasks
from tests.helpers.device_runs import COUNTS, MOVES, NUM_PARTICLES, STATE
from tests.helpers.refusals import refused

ONE = (1,) * len(MOVES)
PLACES = [*((count,) * len(MOVES) for count in COUNTS[1:]), MOVES]
MORE = [count for count in COUNTS if count > 1]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("devices") / "found"
    return device_runs.measure("tests.helpers.device_runs", path)


@pytest.mark.parametrize("counts", PLACES, ids=str)
@pytest.mark.parametrize("case", device_runs.cases())
def test_the_path_is_that_of_one_device(found, case, counts):
    """Also where each update has other devices than the one before, by way of plain arrays."""
    reports, state = found["paths"][case][counts]
    expected, last = found["paths"][case][ONE]
    assert all(np.abs(report["gradient"]).max() > 0 for report in expected)
    for report, other in zip(reports, expected, strict=True):
        for name, value in report.items():
            np.testing.assert_allclose(value, other[name], rtol=1e-9, atol=1e-9, err_msg=name)
    for leaf, other in zip(state, last, strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", [name for name in device_runs.cases() if "lost" in name])
def test_the_cases_with_lost_pairs_lose_some_and_not_all(found, case):
    reports, _ = found["paths"][case][ONE]
    lost = [int(report["nonfinite_pairs"]) for report in reports]
    assert 0 < sum(lost) < len(lost) * NUM_PARTICLES // 2


@pytest.mark.parametrize("count", MORE)
def test_seeds_are_mapped_over_devices_that_share_particles(found, count):
    np.testing.assert_allclose(found["seeds"][count], found["seeds"][1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("count", MORE)
@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("kind", ["few", "many"])
def test_perturbations_do_not_depend_on_the_devices(found, kind, chunk_size, count):
    """Of few outer parameters, drawn in one call, and of many, drawn pair by pair."""
    own = found["perturbations"][kind, chunk_size, count]
    np.testing.assert_array_equal(own, found["perturbations"][kind, chunk_size, 1])
    assert len(np.unique(own)) == own.size


@pytest.mark.parametrize("count", MORE)
@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("name", ["es_single", "pes"])
def test_each_device_holds_its_share_of_the_states(found, name, chunk_size, count):
    """The rest, θ, clocks and ε, is less than a hundredth of the states."""
    own, alone = (found["compiled"][name, chunk_size, n] for n in (count, 1))
    states = NUM_PARTICLES * STATE * 8
    for what in ("argument", "output"):
        assert states <= alone[what] < 1.01 * states
        assert states / count <= own[what] < 1.01 * states / count
    assert own["temporary"] < 1.1 * alone["temporary"] / count


@pytest.mark.parametrize("name", ["es_single", "pes", "truncated_es"])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_devices_exchange_one_sum_and_the_losses(found, name, chunk_size):
    """The sum, [2], once more where pairs were lost; the losses, of 16 particles."""
    assert found["compiled"][name, chunk_size, 1]["between"] == []
    lines = found["compiled"][name, chunk_size, 4]["between"]
    moved = [re.search(r"= (\S+?)(?:\{\S*)? (all-\w+)\(", line).groups() for line in lines]
    print(moved)


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
