"""Thin command lines, `python -m workflow.scripts.NAME`; each explains itself with `--help`."""
