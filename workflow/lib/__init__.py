"""What the command lines are made of: specifications, protocols, statistics, storage, checks."""
