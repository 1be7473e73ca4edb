# A Controller is killed: its Processes end, everybody else is told at once, and the job runs again

actor server on storage
server request slow hold
server publish slow story.slow
actor client on app
client find story.slow slow
client call slow 20000 as asked
server count slow becomes OK delivered 1 held 1
asked still waits
kill storage/fractosd
asked -> OUTCOME_UNKNOWN app within 500 ms
client call slow -> PEER_LOST or STALE
all serve
client call slow -> STALE
the job runs
