"""The swimmer by other means: MuJoCo itself, and Euler-Lagrange equations from energies alone.

Positions q are (x, y, angle of the first link, bends of both joints), v their velocities.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from workflow.lib.speed.side_by_side import ACTION_STEPS, MJCF

MASS = 1000 * math.pi * (0.1**2 + 4 / 3 * 0.1**3)
# A capsule is a cylinder and two half balls, whose centres of mass lie 3/8 of a radius outside.
CYLINDER, BALL = 1000 * math.pi * 0.1**2, 1000 * 4 / 3 * math.pi * 0.1**3
HALF_BALL = 2 / 5 * 0.1**2 - (3 / 8 * 0.1) ** 2 + (0.5 + 3 / 8 * 0.1) ** 2
INERTIA = CYLINDER * (0.1**2 / 4 + 1 / 12) + BALL * HALF_BALL
ROLL = 0.1**2 * (CYLINDER / 2 + BALL * 2 / 5)
LONG, WIDE = math.sqrt(6 * (2 * INERTIA - ROLL) / MASS), math.sqrt(6 * ROLL / MASS)
SIZE = (LONG + 2 * WIDE) / 3
LIMIT = math.radians(100)


class MuJoCo:
    """MuJoCo's own Swimmer; `mujoco` is its Python module."""

    def __init__(self, mujoco):
        self.mujoco = mujoco
        self.model = mujoco.MjModel.from_xml_string(MJCF)
        self.data = mujoco.MjData(self.model)

    def move(self, q, v, action):
        """Return q and v after one action."""
        self.mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.qvel[:], self.data.ctrl[:] = q, v, action
        for _ in range(ACTION_STEPS):
            self.mujoco.mj_step(self.model, self.data)
        return self.data.qpos.copy(), self.data.qvel.copy()


def links(q):
    """Return the centres of the links and their angles, [3, 3], from how they hang together."""
    at, angle, found = q[:2], 0.0, []
    # A link turns about its joint; from there its centre and the next joint are so far along it.
    for turn, center, joint in ((q[2], 1.0, 0.5), (q[3], -0.5, -1.0), (q[4], -0.5, 0.0)):
        angle = angle + turn
        along = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        found.append(jnp.append(at + center * along, angle))
        at = at + joint * along
    return jnp.stack(found)


def velocities(q, v):
    """Return the velocities of the centres and the angles of the links, [3, 3]."""
    return jax.jvp(links, (q,), (v,))[1]


def energy(q, v):
    """Return the kinetic energy; the armature is an inertia of 0.1 in every coordinate."""
    speed = velocities(q, v)
    moving = MASS * jnp.sum(speed[:, :2] ** 2) + INERTIA * jnp.sum(speed[:, 2] ** 2)
    return 0.5 * (moving + 0.1 * jnp.sum(v**2))


def fluid(q, v):
    """Return the generalised forces of the fluid, [5]: those on a box around each link."""

    def resist(linear, square, speed):
        return -linear * speed - square * jnp.abs(speed) * speed

    speed, angle = velocities(q, v), links(q)[:, 2]
    along = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    across = jnp.stack([-jnp.sin(angle), jnp.cos(angle)], axis=1)
    first, second = (jnp.sum(speed[:, :2] * axis, axis=1) for axis in (along, across))
    slow = 3 * math.pi * SIZE * 0.1
    force = resist(slow, 2000 * WIDE * WIDE, first)[:, None] * along
    force += resist(slow, 2000 * LONG * WIDE, second)[:, None] * across
    turning = 4000 / 64 * WIDE * (LONG**4 + WIDE**4)
    torque = resist(math.pi * SIZE**3 * 0.1, turning, speed[:, 2])
    loads = jnp.concatenate([force, torque[:, None]], axis=1)
    return jax.vjp(lambda v: velocities(q, v), v)[1](loads)[0]


def free_acceleration(q, v, action):
    """Return M and the accelerations without limits: (∂E/∂v)˙ - ∂E/∂q = forces."""
    momentum = jax.grad(energy, argnums=1)
    M = jax.jacfwd(momentum, argnums=1)(q, v)
    turning = jax.jvp(lambda q: momentum(q, v), (q,), (v,))[1]
    motors = 150 * jnp.concatenate([jnp.zeros(3), jnp.clip(action, -1, 1)])
    forces = motors + fluid(q, v) + jax.grad(energy)(q, v) - turning
    return M, jnp.linalg.solve(M, forces)


def acceleration(q, v, action, solved, straight):
    """Return the accelerations with limits, by trying out which of them push, [5].

    Args:
        q: positions.
        v: velocities.
        action: of the motors.
        solved: `free_acceleration`, compiled or not.
        straight: M where all positions are 0; MuJoCo takes softness from there.
    """
    M, free = (np.asarray(x) for x in solved(q, v, action))
    beyond = [k for k in (3, 4) if abs(q[k]) > LIMIT]
    for number in range(len(beyond), -1, -1):
        for pushing in itertools.combinations(beyond, number):
            rows = {k: -np.sign(q[k]) * np.eye(5)[k] for k in beyond}
            wanted, soft = {}, {}
            for k in beyond:
                depth = abs(q[k]) - LIMIT
                x = min(depth / 0.001, 1)
                share = 0.9 + 0.05 * (2 * x**2 if x < 0.5 else 1 - 2 * (1 - x) ** 2)
                back = share * depth / (0.95 * 0.02) ** 2
                wanted[k] = back - 2 / (0.95 * 0.02) * rows[k] @ v
                soft[k] = (1 - share) / share * np.linalg.inv(straight)[k, k]
            J = np.array([rows[k] for k in pushing]).reshape(-1, 5)
            A = J @ np.linalg.solve(M, J.T) + np.diag([soft[k] for k in pushing])
            push = np.linalg.solve(A, np.array([wanted[k] for k in pushing]) - J @ free)
            found = free + np.linalg.solve(M, J.T @ push)
            idle = [k for k in beyond if k not in pushing]
            if (push >= 0).all() and all(rows[k] @ found >= wanted[k] for k in idle):
                return found
    raise AssertionError("no set of limits fits")
