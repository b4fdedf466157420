"""Learning: the network, its training, its errors."""
