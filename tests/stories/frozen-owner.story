# Uses of what a frozen owner has end within the failure timeout, and it serves again when it wakes

actor server on storage
server request echo
server publish echo story.echo
server memory far 65536
server publish far story.far
actor client on app
client find story.echo echo
client find story.far far
client memory near 65536

stop storage/fractosd
client call echo 20000 as asked
client copy near far as copied
asked -> OUTCOME_UNKNOWN app within 1500 ms
copied -> OUTCOME_UNKNOWN or PEER_LOST within 1500 ms
continue storage/fractosd
app sees storage up
client call echo
client copy near far
