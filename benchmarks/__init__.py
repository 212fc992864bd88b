"""Benchmarks: redisjson_dict beside everything a user could pick instead; see `make bench`."""
