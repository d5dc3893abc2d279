"""Files that hold images: sparse, cloned, published, in use, hashed."""
