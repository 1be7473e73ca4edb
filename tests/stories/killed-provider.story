# A provider dies with a delivery open: whoever waits is told who died (G16)

actor server on storage
server request slow hold
server publish slow story.slow
actor client on app
client find story.slow slow
client call slow 20000 as asked
server count slow becomes OK delivered 1 held 1
asked still waits
kill server
asked -> PEER_LOST storage/server within 200 ms
client call slow -> REVOKED storage within 200 ms
