"""`python -m ophis`; what torchrun starts."""

from ophis.cli import main

if __name__ == "__main__":
    main()
