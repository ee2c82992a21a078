"""`python -m likeness.cli` is `likeness`."""

from likeness.cli.main import main

main()
