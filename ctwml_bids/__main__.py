"""``python -m ctwml_bids``: the same program as the console script."""

import sys

from ctwml_bids.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
