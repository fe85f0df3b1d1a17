"""llmbar: find out whether an LLM can be trusted as a judge."""

__version__ = "0.1.0"
