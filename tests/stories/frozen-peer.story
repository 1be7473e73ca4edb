# A Controller that was frozen beyond the timeout comes back and is fenced (G17)

actor server on storage
server request inbox take
server publish inbox story.inbox
server memory source 65536
server fill source 9
actor client on app
client memory target 65536
client fill target 1
client find story.inbox inbox
client give inbox target

# The server's copy waits in its ring when its Controller wakes up; by then the target was taken back.
stop storage/fractosd
server copy target source as late
app sees storage down within 2500 ms
client revoke target -> OK within 200 ms
continue storage/fractosd
late -> REVOKED or OUTCOME_UNKNOWN or PEER_LOST
app sees storage up
client holds target 1
server copy target source -> REVOKED
client holds target 1
