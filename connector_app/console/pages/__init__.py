"""The console's pages, one file for each kind of work."""
