"""The people who work with Backroom: who they are, what each may do, and their sessions."""
