"""Floor 1: what operators watch. Every metric, the logs and the metrics page; takes primitive values only."""
