"""Benchmarks: redisjson_dict beside everything a user could pick instead. `make bench` runs them."""
