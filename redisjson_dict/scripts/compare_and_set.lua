#!lua
-- needs: place, repair, compare
return compare_and_set()
