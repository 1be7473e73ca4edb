# Whoever watches a capability is told once when it ends, and why

actor server on storage
server request echo
server publish echo story.echo
actor holder on gpu
holder request inbox take
holder publish inbox story.inbox
actor maker on app
maker find story.echo echo
maker find story.inbox inbox
maker revtree one echo
maker revtree two echo
maker revtree three echo
maker give inbox one
maker give inbox two
maker give inbox three

holder watch one as first
holder watch two as second
holder watch three as third
holder watch one -> OVERLAP not
first still waits

# Revoked.
maker revoke one
first -> REVOKED revoked within 500 ms
holder watch one -> REVOKED revoked within 500 ms

# The slot is closed.
holder close two
second -> CANCELLED not within 500 ms

# Its maker dies.
third still waits
kill maker
third -> REVOKED maker within 500 ms

# The provider of what it was made from dies.
holder find story.echo echo
holder watch echo as fourth
fourth still waits
wait 100 ms
kill server
fourth -> REVOKED maker within 500 ms
