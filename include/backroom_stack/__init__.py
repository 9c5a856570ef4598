"""Every part of Backroom on one machine: for the demo, for development, for trying. Starts parts as processes only."""
