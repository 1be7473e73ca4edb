# A holder whose node is cut off has let go; what it kept is refused

actor server on storage
server request echo
server publish echo story.echo
actor holder on gpu
holder request inbox take
holder publish inbox story.holder
actor maker on app
maker find story.echo echo
maker find story.holder inbox
maker revtree child echo tracked
maker give inbox child
maker watch-held child as held
holder watch child as watched
held still waits

cut gpu and storage
held -> OK unheld within 2500 ms
watched -> PEER_LOST link or REVOKED revoked or CANCELLED not within 2500 ms
holder call child -> NO_CAP or PEER_LOST
heal
gpu sees storage up
holder call child -> NO_CAP or PEER_LOST or REVOKED
