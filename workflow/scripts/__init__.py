"""One thin command line per rule of the workflow; each explains itself with `--help`."""
