"""Every kind of run at the paper's constants builds and compiles; nothing is run.

Runs that differ in the seeds, in σ or in where they start share a program, which is compiled once.
"""

import functools

import jax
import optax
import pytest

from workflow.lib.data import prepared
from workflow.lib.plan import spec, tuned
from workflow.lib.protocols import _build, meta_training, random_search

pytestmark = pytest.mark.usefixtures("quick_compile")
EXPERIMENTS = (
    "copy_task",
    "fashion_mnist_many_hyperparameters",
    "fashion_mnist_telescoping",
    "l2_regression",
    "learned_optimizer",
    "mnist_lr_schedule",
    "mnist_lr_schedule_k1",
    "toy_regression",
)


def programs():
    """Return one specification for each (experiment, estimator with its arguments, protocol)."""
    found = {}
    for job in spec.jobs("paper", EXPERIMENTS):
        estimator = job.spec["estimator"] or {"name": None, "args": {}}
        shape = {name: x for name, x in estimator["args"].items() if name != "sigma"}
        key = (job.spec["experiment"], estimator["name"], str(shape), job.spec["protocol"]["name"])
        found.setdefault(key, job.spec)
    return [pytest.param(job, id=f"{job['experiment']}/{job['run']}") for job in found.values()]


def one_step(job, task, estimator):
    """Return the function of a key that makes up one step of the run's protocol."""
    args = job["protocol"]["args"]
    if job["protocol"]["name"] == "landscape":
        return lambda key: task.evaluate(key, task.init_theta(key))
    if job["protocol"]["name"] == "random_search":
        search = functools.partial(random_search.search, task, args["box"], 1)
        start = random_search.Incumbent
        return lambda key: search(start(task.init_theta(key), jax.numpy.inf), key, 0)
    optimizer = optax.adam(args["learning_rate"], b1=args.get("b1", 0.9))

    def train(key):
        carry = meta_training.start(task, estimator, optimizer, key)
        return meta_training.train(task, estimator, optimizer, 1, carry, key, 0)

    return train


@pytest.mark.parametrize("job", programs())
def test_one_outer_step_compiles(job):
    job = tuned.resolve(job, tuned.stand_in(job))
    task = _build.task(job, prepared.stand_in(job["data"]))
    estimator = _build.estimator(job, task)
    _build.protocol(job).check(task, estimator, **job["protocol"]["args"])
    step = one_step(job, task, estimator)
    compiled = jax.jit(step).lower(jax.random.key(0)).compile()
    gigabytes = compiled.memory_analysis().temp_size_in_bytes / 1e9
    assert gigabytes < 40, "more than a large GPU can hold"
