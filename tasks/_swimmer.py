"""MuJoCo's Swimmer in plain JAX: a chain of three links in a plane and in a fluid.

Positions q = (x, y, angle of the first link, bend of joint 1, bend of joint 2) and velocities v are
those of MuJoCo, and so is where an action leads, up to rounding:

* every link has mass m and inertia I, and every coordinate MuJoCo's "armature", some inertia more;
* the fluid acts on each link as on a box of the same inertia, by its viscosity and its density;
* a joint that bends by more than 100° is pushed back by MuJoCo's soft constraint.

With φ_j, the angles of the links, and e_j, n_j along and across link j, the centre of link i is
c_i = p + Σ_j r_ij e_j, p = (x, y). The equations of motion of p are solved for its acceleration,
which is put into those of φ: three equations M φ'' = f remain. All arithmetic is on scalars, so
that the compiler makes few loops of it, each over all particles.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tasks.base import Array

RADIUS, LENGTH, BODY_DENSITY = 0.1, 1.0, 1000.0
FLUID_DENSITY, VISCOSITY = 4000.0, 0.1
ARMATURE, GEAR = 0.1, 150.0
TIME_STEP, STEPS_PER_ACTION = 0.01, 4
DURATION = TIME_STEP * STEPS_PER_ACTION  # of an action
LARGEST_BEND = math.radians(100)
# MuJoCo's soft constraints: 0.9 to 0.95 of a violation is opposed, the latter from 0.001 on, and it
# fades with a time constant of 0.02 s.
LEAST_SHARE, MOST_SHARE, FULL_DEPTH, FADE = 0.9, 0.95, 1e-3, 0.02
REACH = np.array([[1.0, 0.0, 0.0], [0.5, -0.5, 0.0], [0.5, -1.0, -0.5]])  # r_ij
BENDS = np.array([[-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]])  # the bends of the joints from the angles φ
Vector = Sequence[Any]


class State(NamedTuple):
    """Where the swimmer is, as MuJoCo has it.

    Attributes:
        q: x, y, the angle of the first link, the bends of both joints; in m and rad, [5].
        v: their velocities, [5].
    """

    q: Array
    v: Array


class Body(NamedTuple):
    """Constants of the equations of motion.

    Attributes:
        mass: of p: of all links, and the armature.
        lever: m Σ_i r_ij of every link j, [3].
        coupling: m Σ_i r_ij r_ik - lever_j lever_k / mass, [3, 3].
        inertia: what is added to `coupling` in M, [3, 3].
        drag: of the fluid on a link that moves along itself, across, or turns (rows), by its
            velocity and by the square of that (columns), [3, 2].
        mobility: how fast a torque of 1 on a joint bends it when all are straight, rad/s², [2].
    """

    mass: float
    lever: np.ndarray
    coupling: np.ndarray
    inertia: np.ndarray
    drag: np.ndarray
    mobility: np.ndarray


def make_body() -> Body:
    """Return the constants of MuJoCo's Swimmer."""
    cylinder = BODY_DENSITY * math.pi * RADIUS**2 * LENGTH
    ball = BODY_DENSITY * 4 / 3 * math.pi * RADIUS**3  # both ends of a capsule
    link = cylinder + ball
    along = RADIUS**2 * (cylinder / 2 + 2 / 5 * ball)
    across = cylinder * (3 * RADIUS**2 + LENGTH**2) / 12
    across += ball * (2 / 5 * RADIUS**2 + LENGTH * (3 * RADIUS + 2 * LENGTH) / 8)
    mass, lever = 3 * link + ARMATURE, link * REACH.sum(axis=0)
    coupling = link * REACH.T @ REACH - np.outer(lever, lever) / mass
    turned = np.array([[1.0, 0.0, 0.0], *BENDS])  # the hinges from the angles of the links
    inertia = across * np.eye(3) + ARMATURE * turned.T @ turned
    mobility = np.diag(BENDS @ np.linalg.inv(coupling + inertia) @ BENDS.T)
    # A box with the mass and the inertia of a link; its third side is as long as `wide`.
    long, wide = (math.sqrt(6 * x / link) for x in (2 * across - along, along))
    size = (long + 2 * wide) / 3
    drag = [
        [3 * math.pi * size * VISCOSITY, FLUID_DENSITY / 2 * wide**2],
        [3 * math.pi * size * VISCOSITY, FLUID_DENSITY / 2 * long * wide],
        [math.pi * size**3 * VISCOSITY, FLUID_DENSITY / 64 * wide * (long**4 + wide**4)],
    ]
    return Body(mass, lever, coupling, inertia, np.array(drag), mobility)


def move(body: Body, state: State, action: Vector) -> State:
    """Return where one action leads: four Runge-Kutta steps of 0.01.

    Args:
        body: constants.
        state: where the swimmer is.
        action: of both motors; what is beyond [-1, 1] is cut off.
    """
    torque = [GEAR * jnp.clip(a, -1.0, 1.0) for a in action]
    h = TIME_STEP
    # How far ahead the next evaluation is, and how much each counts.
    tableau = (jnp.array([h / 2, h / 2, h, 0.0]), jnp.array([h / 6, h / 3, h / 3, h / 6]))

    def runge_kutta(_: int, start: Vector) -> Vector:
        def evaluate(carry: tuple, x: tuple[Array, Array]) -> tuple[tuple, None]:
            total, at, along = carry
            ahead, weight = x
            turned = acceleration(body, at[2:5], along, at[5:7], at[7:], torque)
            slope = [*at[5:], *turned]
            total = [y + weight * dy for y, dy in zip(total, slope, strict=True)]
            at = [y + ahead * dy for y, dy in zip(start, slope, strict=True)]
            return (total, at, _directions(at[2:5])), None

        # Cosines and sines are handed on: what goes through a loop is computed once, whereas the
        # compiler would compute them again in each of the many places where they are used.
        carry = (start, start, _directions(start[2:5]))
        return jax.lax.scan(evaluate, carry, tableau)[0][0]

    now = [*_with_angles(state.q), *_with_angles(state.v)]
    now = jax.lax.fori_loop(0, STEPS_PER_ACTION, runge_kutta, now)
    return State(jnp.stack(_with_bends(now[:5])), jnp.stack(_with_bends(now[5:])))


def _directions(angle: Vector) -> list[tuple[Array, Array]]:
    """Return (cos φ, sin φ), the direction along every link."""
    return [(jnp.cos(phi), jnp.sin(phi)) for phi in angle]


def _with_angles(x: Vector) -> list[Array]:
    """Return x, y and the angles of the links from x, y, the first angle and both bends."""
    return [x[0], x[1], x[2], x[2] + x[3], x[2] + x[3] + x[4]]


def _with_bends(x: Vector) -> list[Array]:
    """Return what `_with_angles` was given."""
    return [x[0], x[1], x[2], x[3] - x[2], x[4] - x[3]]


def acceleration(
    body: Body, angle: Vector, along: Vector, velocity: Vector, omega: Vector, torque: Vector
) -> list[Array]:
    """Return the accelerations of x, y and the angles of the links.

    Args:
        body: constants.
        angle: φ of every link.
        along: its direction, (cos φ, sin φ).
        velocity: of p, that is of x and y.
        omega: φ' of every link.
        torque: of both motors.
    """
    across = [(-sin, cos) for cos, sin in along]
    force, turning = _drag(body, along, across, velocity, omega)
    total = [sum(f[axis] for f in force) for axis in range(2)]
    load = [turning[0] - torque[0], turning[1] + torque[0] - torque[1], turning[2] + torque[1]]
    for j in range(3):
        share = body.lever[j] / body.mass
        pull = [
            sum(REACH[i, j] * force[i][axis] for i in range(3)) - share * total[axis]
            for axis in range(2)
        ]
        load[j] += _dot(across[j], pull)
        load[j] += sum(
            body.coupling[j, k] * _dot(across[j], along[k]) * omega[k] ** 2 for k in range(3)
        )
    inverse = _inverse(
        [
            [body.coupling[j, k] * _dot(along[j], along[k]) + body.inertia[j, k] for k in range(3)]
            for j in range(3)
        ]
    )
    turned = [_dot(row, load) for row in inverse]
    push = _limit(body, angle, omega, turned, inverse)
    load = [-push[0], push[0] - push[1], push[1]]
    turned = [x + _dot(row, load) for x, row in zip(turned, inverse, strict=True)]
    moved = [
        total[axis]
        - sum(
            body.lever[k] * (turned[k] * across[k][axis] - omega[k] ** 2 * along[k][axis])
            for k in range(3)
        )
        for axis in range(2)
    ]
    return [moved[0] / body.mass, moved[1] / body.mass, *turned]


def _drag(
    body: Body, along: Vector, across: Vector, velocity: Vector, omega: Vector
) -> tuple[list[list[Array]], list[Array]]:
    """Return the force of the fluid on every link, in x and y, and its torque."""

    def resist(kind: int, speed: Array) -> Array:
        linear, square = body.drag[kind]
        return -(linear + square * jnp.abs(speed)) * speed

    forces = []
    for i in range(3):
        center = [
            velocity[axis] + sum(REACH[i, j] * omega[j] * across[j][axis] for j in range(i + 1))
            for axis in range(2)
        ]
        first, second = resist(0, _dot(center, along[i])), resist(1, _dot(center, across[i]))
        forces.append([first * along[i][axis] + second * across[i][axis] for axis in range(2)])
    return forces, [resist(2, speed) for speed in omega]


def _limit(
    body: Body, angle: Vector, omega: Vector, turned: Vector, inverse: Vector
) -> list[Array]:
    """Return the torques that push back joints that are bent too far.

    MuJoCo's soft constraint of joint k wants the bend to accelerate by a*_k. Its torque λ_k >= 0
    solves (A + R) λ = a* - a with 0 where λ_k would be negative; a is the acceleration without it.

    Args:
        body: constants.
        angle: φ of every link.
        omega: φ' of every link.
        turned: φ'' of every link without these torques.
        inverse: M⁻¹.
    """
    bends, rates, free = ([x[k + 1] - x[k] for k in range(2)] for x in (angle, omega, turned))
    side, bent, wanted, diagonal = [], [], [], []
    for k in range(2):
        side.append(-jnp.sign(bends[k]))
        depth = jnp.abs(bends[k]) - LARGEST_BEND
        bent.append(depth > 0)
        x = jnp.clip(depth / FULL_DEPTH, 0.0, 1.0)
        rise = jnp.where(x < 0.5, 2 * x**2, 1 - 2 * (1 - x) ** 2)
        share = LEAST_SHARE + rise * (MOST_SHARE - LEAST_SHARE)
        back = share * depth / (MOST_SHARE * FADE) ** 2
        target = back - 2 / (MOST_SHARE * FADE) * side[k] * rates[k]
        wanted.append(jnp.where(bent[k], target - side[k] * free[k], 0.0))
        stiffness = inverse[k][k] - 2 * inverse[k][k + 1] + inverse[k + 1][k + 1]
        diagonal.append(stiffness + (1 - share) / share * body.mobility[k])
    mixed = inverse[0][1] - inverse[1][1] - inverse[0][2] + inverse[1][2]
    # A joint within its range has no constraint: nothing is wanted of it, and nothing mixed.
    mixed = jnp.where(bent[0] & bent[1], mixed * side[0] * side[1], 0.0)
    determinant = diagonal[0] * diagonal[1] - mixed**2
    both = [
        (diagonal[1] * wanted[0] - mixed * wanted[1]) / determinant,
        (diagonal[0] * wanted[1] - mixed * wanted[0]) / determinant,
    ]
    alone = [jnp.maximum(wanted[k], 0.0) / diagonal[k] for k in range(2)]
    together = (both[0] > 0) & (both[1] > 0)
    first = mixed * alone[0] >= wanted[1]  # the first alone satisfies the second
    push = [jnp.where(first, alone[0], 0.0), jnp.where(first, 0.0, alone[1])]
    return [side[k] * jnp.where(together, both[k], push[k]) for k in range(2)]


def _inverse(m: Vector) -> list[list[Array]]:
    """Return the inverse of a symmetric 3x3 matrix, by its cofactors."""
    a = m[1][1] * m[2][2] - m[1][2] * m[1][2]
    b = m[0][2] * m[1][2] - m[0][1] * m[2][2]
    c = m[0][1] * m[1][2] - m[0][2] * m[1][1]
    d = m[0][0] * m[2][2] - m[0][2] * m[0][2]
    e = m[0][1] * m[0][2] - m[0][0] * m[1][2]
    f = m[0][0] * m[1][1] - m[0][1] * m[0][1]
    scale = 1 / (m[0][0] * a + m[0][1] * b + m[0][2] * c)
    return [[x * scale for x in row] for row in ((a, b, c), (b, d, e), (c, e, f))]


def _dot(first: Vector, second: Vector) -> Array:
    """Return Σ_i first_i second_i."""
    return sum(x * y for x, y in zip(first, second, strict=True))
