# Revoking does not wait for holders, whoever is cut off or frozen (G14)

actor server on storage
server request echo
server publish echo story.echo
actor holder on gpu
holder request inbox take
holder publish inbox story.inbox
actor maker on app
maker find story.echo echo
maker find story.inbox inbox
maker revtree first echo
maker revtree second echo
maker revtree third first
maker give inbox first
maker give inbox second
maker give inbox third
maker info first -> OK revocable reachable node 3
holder info first -> OK reachable node 3
holder revoke first -> DENIED
holder call first
holder call third

# One holder is cut off from everybody.
cut gpu and storage
cut gpu and app
maker revoke first -> OK within 200 ms
maker call first -> REVOKED
maker revoke first -> REVOKED within 200 ms
heal
all serve
holder call first -> REVOKED storage
holder call third -> REVOKED storage
holder call second

# One is frozen.
stop gpu/fractosd
maker revoke second -> OK within 200 ms
continue gpu/fractosd
holder call second -> REVOKED or PEER_LOST or OUTCOME_UNKNOWN
maker call echo
