"""What a model is trained on: from files and the hub to packed rows, batch by batch."""
