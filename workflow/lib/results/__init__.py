"""From finished runs to tables, and back.

The tables of an experiment (`tables`), the optimizers that it has trained (`trained`), and whether
finished files still belong to today's settings, code and data (`verify`).
"""
