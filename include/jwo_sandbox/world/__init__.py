"""Makes a busy day of two stores out of a grocer's real baskets, with what those lack generated and counted."""
