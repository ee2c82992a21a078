"""Generated from protos/likeness/v1 by `make protos`; do not edit."""
