#!lua flags=allow-oom
-- needs: place, erase
if not locate() then return absence() end
erase()
return 1
