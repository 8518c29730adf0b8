"""How fast it is, and the page that shows it.

Particle-steps per second (`throughput`) of the cases with a floor (`floors`), of every task
(`survey`), as sizes grow (`scaling`), and beside independent code (`side_by_side`, with the same
problems in evosax: `peers`). `benchmarks` writes docs/benchmarks.md. `gpu_time` says how long an
experiment would take on a GPU.
"""
