"""Several processes: started, told apart, and a model sharded over them."""
