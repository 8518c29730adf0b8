"""From tables to verdicts.

The statistics that claims name (`statistics`, `variance`, `surface`), the seeds that they compare
(`seed_values`), the summary over tasks (`comparisons`), and the verdicts (`ledger`).
"""
