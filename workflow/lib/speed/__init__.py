"""How fast it is.

Particle-steps per second (`throughput`), time on a GPU (`gpu_time`), and the same problems in an
independent implementation (`peers`).
"""
