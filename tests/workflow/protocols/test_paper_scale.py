"""Every kind of run at the paper's constants builds and compiles; nothing is run.

Runs that differ only in their seeds, σ or start share a program, which is compiled once.
"""

import functools

import jax
import pytest

from workflow.lib.plan import spec
from workflow.lib.protocols import _training, landscape, random_search
from workflow.lib.protocols._rehearsal import rehearse

pytestmark = pytest.mark.usefixtures("quick_compile")
EXPERIMENTS = (
    "copy_task",
    "dodge",
    "fashion_mnist_many_hyperparameters",
    "fashion_mnist_telescoping",
    "gdtuo",
    "l2_regression",
    "learned_optimizer",
    "mnist_lr_schedule",
    "mnist_lr_schedule_k1",
    "resnet_many",
    "resnet_two",
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


def one_step(ready):
    """Return the function of a key that makes up one step of a job."""
    task, factory, protocol, config = ready
    if protocol is landscape:
        return lambda key: task.evaluate(key, task.init_theta(key))
    if protocol is random_search:
        search = functools.partial(random_search.search, task, config.box, 1)
        start = random_search.Incumbent
        return lambda key: search(start(task.init_theta(key), jax.numpy.inf), key, 0)
    parts = (task, factory, config.make_optimizer())

    def train(key):
        return _training.train(*parts, 1, _training.start(*parts, key), key, 0)

    return train


@pytest.mark.parametrize("job", programs())
def test_one_outer_step_compiles(job):
    ready = rehearse(job)
    ready.check()
    compiled = jax.jit(one_step(ready)).lower(jax.random.key(0)).compile()
    gigabytes = compiled.memory_analysis().temp_size_in_bytes / 1e9
    assert gigabytes < 40, "more than a large GPU can hold"
