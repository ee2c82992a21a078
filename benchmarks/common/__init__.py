"""What several of the programs in `benchmarks/` and `models/train/` use."""
