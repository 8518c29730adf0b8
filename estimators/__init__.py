"""Gradient estimators for unrolled computation graphs: one file, one estimator.

A factory has the name of its module: `estimators.es_single(task, num_particles=1000, sigma=0.1,
truncation=1)`. Notation, the same in code, configuration, tables and axis labels:

    theta           θ       outer parameters, any pytree
    horizon         T       inner steps in an inner problem; None = it never ends
    truncation      K       inner steps per outer update
    num_particles   N       particles, both signs of an antithetic pair counted
    sigma           σ       standard deviation of a perturbation (never the variance)
    resample_every  M       unrolls between fresh perturbations in ES-Gen
    num_directions  D       random directions in DODGE
    outer_step      -       one update of θ
    inner_steps     -       compute: inner steps summed over particles

A state is a tree of arrays and typed PRNG keys. `to_arrays(state)` has the numbers of the keys in
their place, for pickle, flax.serialization or orbax; `from_arrays` gives the state back.

`over_devices(estimator, jax.devices())` spreads the particles of an ES estimator over devices.

The NRES paper (Li et al., 2023) calls K `W` and uses K for the length of noise reuse.
"""

from estimators._devices import over_devices
from estimators.base import Estimator, Info, from_arrays, to_arrays
from estimators.dodge import dodge
from estimators.es_gen import es_gen
from estimators.es_single import es_single
from estimators.full_es import full_es
from estimators.pes import pes
from estimators.rtrl import rtrl
from estimators.tbptt import tbptt
from estimators.truncated_es import truncated_es
from estimators.uoro import uoro

__all__ = [
    "Estimator",
    "Info",
    "dodge",
    "es_gen",
    "es_single",
    "from_arrays",
    "full_es",
    "over_devices",
    "pes",
    "rtrl",
    "tbptt",
    "to_arrays",
    "truncated_es",
    "uoro",
]
