"""`python -m wann` is `wann`."""

import sys

from wann.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
