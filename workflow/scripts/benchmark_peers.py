"""Measure PES and ES-Single against evosax's versions of them: the same task, process and core.

evosax runs in two ways: as its documentation shows, in a Python loop with one compiled call each to
ask, evaluate and tell; and with that loop in one compiled scan. Ours runs as in every experiment.
Each number is the median of 5 repetitions, for which the three take turns; both signs of a pair are
counted.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from workflow.lib.common.command import errors_in_one_line, parser

ESTIMATORS = ("pes", "es_single")
# Task, N, σ, K, and how many updates a repetition has in the loop and in compiled programs.
CASES = {
    "influence_balancing_k1": ("influence_balancing", 1000, 0.1, 1, 200, 20_000),
    "influence_balancing_k10": ("influence_balancing", 1000, 0.1, 10, 200, 2_000),
    "toy_regression_k10": ("toy_regression", 1000, 0.3, 10, 200, 1_000),
}


def measure(case: str, name: str) -> dict[str, float]:
    """Return particle-steps per second of ours, of evosax in a loop and of evosax in one scan."""
    import estimators
    import tasks
    from workflow.lib.speed import throughput

    task_name, num_particles, sigma, truncation, in_loop, compiled = CASES[case]
    task = getattr(tasks, task_name)()
    options = {"num_particles": num_particles, "sigma": sigma, "truncation": truncation}
    factory = functools.partial(getattr(estimators, name), **options)
    loop, scan = _theirs(name, task, options, in_loop, compiled)
    train, _ = throughput.trainer(task, factory, compiled)
    seconds = throughput.median_seconds(throughput.REPETITIONS, train, loop, scan)
    work = num_particles * truncation
    return {
        "ours": work * compiled / seconds[0],
        "evosax_loop": work * in_loop / seconds[1],
        "evosax_scan": work * compiled / seconds[2],
    }


def _theirs(
    name: str, task: Any, options: dict[str, Any], in_loop: int, compiled: int
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return two functions that update θ with evosax: in a loop, and in one compiled scan."""
    import jax
    import optax

    from workflow.lib.speed import peers, throughput

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


def _report(case: str, name: str, speed: dict[str, float]) -> str:
    """Return one line: three speeds, and ours as a multiple of evosax's two."""
    ours, loop, scan = (speed[key] for key in ("ours", "evosax_loop", "evosax_scan"))
    return (
        f"{case:24} {name:10} ours {ours / 1e6:7.2f} M/s"
        f"  evosax loop {loop / 1e6:6.2f} M/s (x{ours / loop:5.1f})"
        f"  evosax scan {scan / 1e6:6.2f} M/s (x{ours / scan:5.1f})"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("benchmark_peers", __doc__)
    command.add_argument("--case", choices=CASES, help="measure one case in this process")
    options = command.parse_args(arguments)
    if options.case:
        with errors_in_one_line("benchmark_peers"):
            for name in ESTIMATORS:
                print(_report(options.case, name, measure(options.case, name)), flush=True)
        return
    for case in CASES:
        one = [sys.executable, "-m", "workflow.scripts.benchmark_peers", "--case", case]
        done = subprocess.run(one, env={**os.environ, "NPROC": "1"}, check=False)
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
