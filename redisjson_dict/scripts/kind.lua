#!lua flags=no-writes
-- needs: path, glance
if kind then return kind end
-- needs: place
return locate() or absence()
