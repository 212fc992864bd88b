#!lua flags=no-writes
-- needs: place
return locate() or absence()
