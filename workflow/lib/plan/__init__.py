"""What is to be run, before anything runs.

Experiment files become jobs (`spec`), their values are checked (`hyperparameters`, `catalogue`),
and jobs become the files that Snakemake makes from each other (`dag`). Nothing here imports jax.
"""
