"""The sections of a training file: what they may hold, and how they are read and checked."""
