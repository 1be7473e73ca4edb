# The node of the last holder dies, then the node of the owner: the maker is told of each

actor server on storage
server request echo
server publish echo story.echo
actor holder on gpu
holder request inbox take
holder publish inbox story.inbox
actor maker on app
maker find story.echo echo
maker find story.inbox inbox
maker revtree one echo tracked
maker revtree two echo tracked
maker give inbox one
maker watch-held one as first
maker watch-held two as second
first still waits
kill gpu/fractosd
first -> OK unheld within 1500 ms
second still waits
maker call one -> REVOKED

kill storage/fractosd
second -> PEER_LOST link or STALE controller within 1500 ms
all serve
maker watch-held two -> STALE controller
maker call two -> STALE
