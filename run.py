#!/usr/bin/env python3
"""BIDS App entry point: the same program as the console script ``ctwml_bids``."""

import sys

from ctwml_bids.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
