# The answer to a revoke is lost: it may have been done, and it was (G14)

actor server on storage
server request echo
server publish echo story.echo
actor holder on gpu
holder request inbox take
holder publish inbox story.inbox
actor maker on app
maker find story.echo echo
maker find story.inbox inbox
maker revtree child echo
maker give inbox child
holder call child

cut storage to app
maker revoke child as asked
wait 100 ms
asked still waits
holder call child -> REVOKED storage
asked -> OUTCOME_UNKNOWN within 1500 ms
heal
app sees storage up
maker revoke child -> REVOKED
maker drain child -> OK
