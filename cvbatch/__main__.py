"""``python -m cvbatch``."""

from cvbatch.cli.main import main

if __name__ == "__main__":
    main()
