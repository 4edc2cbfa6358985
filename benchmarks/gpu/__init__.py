"""What is measured on a GPU, by one command: `make gpu`."""
