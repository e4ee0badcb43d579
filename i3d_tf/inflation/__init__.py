"""Any 2D Keras network to a 3D network."""
