# Whoever watches across a link that breaks is told that it can no longer be watched; it may still be valid

actor server on storage
server request echo
server publish echo story.echo
actor client on app
client find story.echo echo
client watch echo as first
first still waits
cut storage to app
first -> PEER_LOST link within 1500 ms
client watch echo -> PEER_LOST link within 200 ms
heal
app sees storage up
client call echo
client watch echo as second
second still waits

# The node starts anew. Whether its end or its hello is heard first, nobody can say before; who asks again
# when it is in reach is told what it was.
cut storage to app
kill storage/fractosd
heal
second -> PEER_LOST link or STALE controller within 1500 ms
all serve
client watch echo -> STALE controller within 200 ms
