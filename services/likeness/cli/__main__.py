"""`python -m likeness.cli` is `likeness`."""

from likeness.cli.start import main

main()
