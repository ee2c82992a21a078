"""The commands, one module each; what they share lies above."""
