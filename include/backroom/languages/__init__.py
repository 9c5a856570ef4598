"""The words that shoppers read, in each language."""
