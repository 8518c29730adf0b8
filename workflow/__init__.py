"""The workflow around the experiments: rules, configuration, library and command lines."""
