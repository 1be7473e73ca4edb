# A node that starts anew says hello before its old session has timed out: its old names are STALE for ever (G7)

actor server on storage
server request echo
server publish echo story.echo
server memory far 4096
server publish far story.far
actor client on app
client find story.echo echo
client find story.far far
client memory near 4096
client call echo

# Its end does not reach app; the new one does, with app still waiting for an echo of the old.
cut storage to app
kill storage/fractosd
heal
all serve
client call echo -> STALE within 500 ms
client copy near far -> STALE within 500 ms

# Whoever comes now gets the indices and serials of the dead ones.
actor server2 on storage
server2 request echo
server2 publish echo story.echo2
server2 memory far 4096
server2 publish far story.far2
client find story.echo2 echo2
client call echo2
client call echo -> STALE
client copy near far -> STALE
client copy far near -> STALE
server2 count echo -> OK delivered 1 held 0
