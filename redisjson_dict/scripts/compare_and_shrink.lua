#!lua flags=allow-oom
-- needs: place, repair, rights, compare
-- For a new text that is not longer than the old one.
return compare_and_set()
