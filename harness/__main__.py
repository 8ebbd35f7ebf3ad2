"""`python -m harness` is the command `harness`."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
