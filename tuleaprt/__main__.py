"""``python -m tuleaprt``: the command line where nothing is installed."""

import sys

from tuleaprt.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
