"""``python -m sessiontail.cli``: the command."""

import sys

from sessiontail.cli import main

if __name__ == "__main__":
    sys.exit(main())
