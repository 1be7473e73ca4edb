# A broken link hurts nobody who does not use it, and values survive it

actor server on storage
server request echo
server publish echo story.echo
actor holder on gpu
holder request inbox take
holder publish inbox story.inbox
actor client on app
client find story.echo echo
client find story.inbox inbox
client give inbox echo

cut app and storage
app sees storage down within 2500 ms
holder call echo
client call inbox -> INVALID gpu/holder
client give inbox echo again
holder call again
client call echo -> PEER_LOST
heal
app sees storage up
client call echo
