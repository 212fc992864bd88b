#!lua flags=no-writes
-- needs: foreign
-- For each key the text of the document, nil where there is none: for users who may not run
-- JSON.MGET, and for a Cluster, where only the first key of that is declared.
local texts = {}
for i = 1, #KEYS do
  local text = redis.pcall('JSON.GET', KEYS[i], '$')
  if text and text.err then
    if not foreign(KEYS[i]) then return text end
    text = false
  end
  texts[i] = text
end
return texts
