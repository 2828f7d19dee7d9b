"""What the product needs over a long time: a first load against the real budget in scaled time, and a day of syncs."""
