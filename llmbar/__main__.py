"""`python -m llmbar` is `llmbar`."""

from llmbar.cli import main

main()
