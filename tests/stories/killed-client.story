# A client dies with everything under way: nothing of it is left anywhere (G6)

actor server on storage
server request slow hold
server publish slow story.slow
server request inbox take
server publish inbox story.inbox
server memory far 16777216
server publish far story.far
actor client on app
client find story.slow slow
client find story.inbox inbox
client find story.far far
client memory near 16777216
client request mine
client give inbox mine
client give inbox near
client call slow 20000 as one
client call slow 20000 as two
client copy far near as copied
server count slow becomes OK delivered 2 held 2
kill client

server call mine -> REVOKED or PEER_LOST within 500 ms
server copy near far -> REVOKED within 500 ms
server finish slow -> OK or REVOKED
