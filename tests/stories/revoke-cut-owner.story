# A revoke whose owner is cut off says OUTCOME_UNKNOWN in time; the child dies with the session (G14)

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

cut app and storage
maker revoke child -> OUTCOME_UNKNOWN within 1500 ms
maker revoke child -> OUTCOME_UNKNOWN within 200 ms
maker drain child -> OUTCOME_UNKNOWN within 200 ms
storage sees app down within 1500 ms

# storage and gpu are well, but the maker's node is gone: what it made is dead.
holder call child -> REVOKED storage
heal
app sees storage up
maker call child -> REVOKED storage
maker revoke child -> REVOKED
maker drain child -> OK
maker call echo
