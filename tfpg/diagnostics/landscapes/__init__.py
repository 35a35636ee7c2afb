"""What does the ground look like that an algorithm walks on? Planes through θ_k, returns and surrogates on them."""
