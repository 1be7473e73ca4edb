# Under a drain, whoever has the deliveries dies: first its Process, then its whole node

actor server on storage
server request slow hold
server publish slow story.slow
actor maker on app
maker find story.slow slow
maker revtree child slow
maker call child 20000 as one
maker call child 20000 as two
server count slow becomes OK delivered 2 held 2
maker drain child 20000 as drained
drained still waits
kill server
drained -> OK within 1000 ms
one -> PEER_LOST storage/server
two -> PEER_LOST storage/server

actor again on storage
again request slow hold
again publish slow story.again
maker find story.again slow2
maker revtree child2 slow2
maker call child2 20000 as three
again count slow becomes OK delivered 1 held 1
wait 400 ms
maker drain child2 20000 as drained2
drained2 still waits
kill storage/fractosd
drained2 -> OUTCOME_UNKNOWN or STALE within 1500 ms
all serve
maker drain child2 -> STALE
# Its delivery had been made and its credit was back: only its own time would end it.
three still waits
