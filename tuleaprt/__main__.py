"""``python -m tuleaprt``: the command line, for checkouts where it is not installed."""

import sys

from tuleaprt.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
