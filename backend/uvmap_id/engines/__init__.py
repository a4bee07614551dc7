"""What makes a texture set: the `Engine` protocol and the engines behind it."""
