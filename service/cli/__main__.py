"""``python -m service.cli``: the command line of this checkout, installed or not."""

from service.cli import main

main()
