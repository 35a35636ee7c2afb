"""The command line: python -m launch.train, launch.evaluate, … Importing it imports no TensorFlow."""
