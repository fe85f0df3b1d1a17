"""Pages: each one self-contained HTML file that opens from disk and asks the network for nothing."""
