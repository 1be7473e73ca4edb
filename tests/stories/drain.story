# DRAIN waits for the deliveries made before, no longer than its time, and not for those of a dead provider (G1, G14)

actor server on storage
server request slow hold
server publish slow story.slow
actor holder on gpu
holder request inbox take
holder publish inbox story.inbox
actor maker on app
maker find story.slow slow
maker find story.inbox inbox

maker revtree child slow
maker give inbox child
holder call child 20000 as asked
server count slow becomes OK delivered 1 held 1
maker drain child 300 -> TIMED_OUT within 600 ms
holder call child -> REVOKED storage
maker drain child 20000 as drained
wait 100 ms
drained still waits
server finish slow
drained -> OK within 500 ms
asked -> OK
maker drain child -> OK within 200 ms

# What a provider that died had open is over when its process has exited.
maker revtree other slow
maker give inbox other
holder call other 20000 as lost
server count slow becomes OK delivered 2 held 1
maker drain other 20000 as second
wait 100 ms
second still waits
kill server
second -> OK within 1000 ms
lost -> PEER_LOST storage/server
