#!lua
-- needs: place, repair, rights, compare
return compare_and_set()
