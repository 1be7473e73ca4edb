# A child dies with its maker, wherever it hangs, and takes what hangs below it along (G6)

actor server on storage
server request echo
server publish echo story.echo
actor holder on gpu
holder request inbox take
holder publish inbox story.inbox
actor maker on app
maker find story.echo echo
maker find story.inbox inbox
maker revtree child echo
maker give inbox child
holder call child
holder revtree below child
holder call below

kill maker
wait 100 ms
holder call child -> REVOKED storage
holder call below -> REVOKED storage
holder revoke below -> REVOKED
server call echo
