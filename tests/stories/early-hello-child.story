# A revtree child at an owner that starts anew is STALE for ever, also for who revokes it (G7)

actor server on storage
server request echo
server publish echo story.echo
actor maker on app
maker find story.echo echo
maker revtree child echo
maker call child

cut storage to app
kill storage/fractosd
heal
all serve
maker call child -> STALE within 500 ms
maker revoke child -> STALE within 500 ms
maker drain child -> STALE within 500 ms
maker revtree more child -> STALE

# The same place in the new table.
actor server2 on storage
server2 request echo
server2 publish echo story.echo2
maker find story.echo2 echo2
maker revtree child2 echo2
maker call child2
maker call child -> STALE
maker revoke child -> STALE
maker call child2
maker revoke child2
