"""What every other room uses.

Files that are whole or absent (`store`), where a result comes from (`provenance`), intervals
(`stats`), names that must be one of a few (`choices`), command lines (`command`), and the folder of
the artifact (`paths`). Nothing here knows what an experiment is.
"""
