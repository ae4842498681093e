"""The engine: everything that holds a pointer or runs once a node."""
