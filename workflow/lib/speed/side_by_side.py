"""Our speed beside that of independent code: the same work, in one process, on one core.

evosax's versions of PES and ES-Single train in two ways: as its documentation shows, in a Python
loop with one compiled call each to ask, evaluate and tell; and with that loop in one compiled scan.
MuJoCo moves the swimmer in C, without policy, rewards or gradients: its `rollout` with one thread
and torques drawn before.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

import estimators
import tasks
from workflow.lib.speed import peers, throughput

ESTIMATORS = ("pes", "es_single")
# Task, N, σ, K, and how many updates a repetition has in the loop and in compiled programs.
CASES = {
    "influence_balancing_k1": ("influence_balancing", 1000, 0.1, 1, 200, 20_000),
    "influence_balancing_k10": ("influence_balancing", 1000, 0.1, 10, 200, 2_000),
    "toy_regression_k10": ("toy_regression", 1000, 0.3, 10, 200, 1_000),
}
SWIMMER = "swimmer"
SWIMMERS, ACTIONS = 20, 1000  # N and T of the experiment

# MuJoCo's Swimmer without what is only drawn. `range` is in degrees.
MJCF = """
<mujoco>
  <compiler angle="degree" inertiafromgeom="true"/>
  <option density="4000" viscosity="0.1" integrator="RK4" timestep="0.01"/>
  <default>
    <geom type="capsule" size="0.1" density="1000" contype="0" conaffinity="0"/>
    <joint type="hinge" axis="0 0 1" armature="0.1"/>
  </default>
  <worldbody>
    <body>
      <geom fromto="1.5 0 0 0.5 0 0"/>
      <joint type="slide" axis="1 0 0"/>
      <joint type="slide" axis="0 1 0"/>
      <joint/>
      <body pos="0.5 0 0">
        <geom fromto="0 0 0 -1 0 0"/>
        <joint name="first" limited="true" range="-100 100"/>
        <body pos="-1 0 0">
          <geom fromto="0 0 0 -1 0 0"/>
          <joint name="second" limited="true" range="-100 100"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="first" gear="150" ctrllimited="true" ctrlrange="-1 1"/>
    <motor joint="second" gear="150" ctrllimited="true" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""
ACTION_STEPS = 4


def measure(case: str) -> list[dict[str, Any]]:
    """Return the speeds of a case: a row for each peer, particle-steps per second of ours and its.

    Args:
        case: a name in `CASES`, or `SWIMMER`.

    Raises:
        RuntimeError: the peer is not installed.
    """
    if case == SWIMMER:
        return [_swimmer()]
    return [row for name in ESTIMATORS for row in _against_evosax(case, name)]


def _against_evosax(case: str, name: str) -> list[dict[str, Any]]:
    """Return our speed beside that of evosax's loop, and beside that of its scan."""
    task_name, num_particles, sigma, truncation, in_loop, compiled = CASES[case]
    task = getattr(tasks, task_name)()
    options = {"num_particles": num_particles, "sigma": sigma, "truncation": truncation}
    factory = functools.partial(getattr(estimators, name), **options)
    loop, scan = _evosax(name, task, options, in_loop, compiled)
    train, _ = throughput.trainer(task, factory, compiled)
    seconds = throughput.median_seconds(throughput.REPETITIONS, train, loop, scan)
    work = num_particles * truncation
    ours, in_a_loop, in_a_scan = (
        work * updates / s
        for updates, s in zip((compiled, in_loop, compiled), seconds, strict=True)
    )
    row = {"case": case, "estimator": name, "ours": ours}
    return [
        row | {"peer": "evosax, loop", "theirs": in_a_loop},
        row | {"peer": "evosax, scan", "theirs": in_a_scan},
    ]


def _evosax(
    name: str, task: Any, options: dict[str, Any], in_loop: int, compiled: int
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return two functions that update θ with evosax: in a loop, and in one compiled scan."""
    optimizer = optax.sgd(throughput.LEARNING_RATE)
    peer = peers.peer(name, task, **options, optimizer=optimizer)
    key = jax.random.key(0)
    begin = peer.start(key, task.init_theta(key))
    keys = jax.random.split(key, compiled)

    def loop() -> None:
        carry, rest = begin, key
        for _ in range(in_loop):
            rest, now = jax.random.split(rest)
            carry = peer.step(now, carry)
        jax.block_until_ready(carry.search.mean)

    @jax.jit
    def updates(carry: Any, keys: Any) -> Any:
        return jax.lax.scan(lambda carry, key: (peer.step(key, carry), None), carry, keys)[0]

    return loop, lambda: jax.block_until_ready(updates(begin, keys).search.mean)


def _swimmer() -> dict[str, Any]:
    """Return actions per second: of a training run of ours, and of MuJoCo's rollout of as many."""
    try:
        mujoco = importlib.import_module("mujoco")
        rollout = importlib.import_module("mujoco.rollout").rollout
    except ModuleNotFoundError as error:
        raise RuntimeError("mujoco is not installed; install it: make peers") from error
    model = mujoco.MjModel.from_xml_string(MJCF)
    data = mujoco.MjData(model)
    start = np.zeros((SWIMMERS, mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS)))
    torques = np.random.default_rng(0).uniform(-1, 1, (SWIMMERS, ACTIONS, model.nu))
    torques = np.repeat(torques, ACTION_STEPS, axis=1)
    task = tasks.swimmer()
    factory = functools.partial(
        estimators.es_single,
        num_particles=SWIMMERS,
        sigma=0.3,
        truncation=100,
        chunk_size=SWIMMERS,
    )
    train, _ = throughput.trainer(task, factory, ACTIONS // 100)
    seconds = throughput.median_seconds(
        throughput.REPETITIONS, train, lambda: rollout(model, data, start, torques)
    )
    ours, theirs = (SWIMMERS * ACTIONS / s for s in seconds)
    row = {"case": SWIMMER, "estimator": "es_single", "peer": "MuJoCo, rollout"}
    return row | {"ours": ours, "theirs": theirs}
