# A copy across a link that goes silent ends within the failure timeout (G16)

actor server on storage
server memory far 33554432
server publish far story.far
server fill far 7
actor client on app
client find story.far far
client memory near 33554432
client fill near 3
client copy near far
client holds near 7

server fill far 9
cut storage to app
client copy near far -> OUTCOME_UNKNOWN or PEER_LOST within 1500 ms
client copy far near -> OUTCOME_UNKNOWN or PEER_LOST within 1500 ms
heal
app sees storage up
client copy near far
