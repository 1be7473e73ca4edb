# A drain that lost its session can be asked for again in the next one

actor server on storage
server request slow hold
server publish slow story.slow
actor maker on app
maker find story.slow slow
maker revtree child slow
maker call child 20000 as asked
server count slow becomes OK delivered 1 held 1
# Its credit comes back with the next heartbeat, so that it does not hang on this session any more.
wait 400 ms
maker drain child 20000 as drained
wait 100 ms
drained still waits

cut storage to app
drained -> OUTCOME_UNKNOWN within 1500 ms
heal
app sees storage up
maker drain child 300 -> TIMED_OUT within 600 ms
server finish slow
maker drain child -> OK
asked -> OK
