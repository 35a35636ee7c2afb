"""Policies that other libraries saved: read without those libraries, without TensorFlow, and without running anything of them."""
