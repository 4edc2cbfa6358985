"""The state of a run on disk, whole or not at all, and the trained model's export."""
