"""`python -m llmbar` is `llmbar`."""

from llmbar.cli import main

if __name__ == "__main__":
    main()
