# A call whose provider is cut off ends within the failure timeout (G16)

actor server on storage
server request echo
server publish echo story.echo
actor client on app
client find story.echo echo
client call echo

# What is sent before anybody has noticed may have arrived: nobody can know.
cut app and storage
client call echo 20000 -> OUTCOME_UNKNOWN app within 1500 ms
app sees storage down within 500 ms
storage sees app down within 1000 ms

# What begins now is refused at once, and its own Controller serves on.
client call echo 20000 -> PEER_LOST within 200 ms
client null -> OK within 100 ms

heal
app sees storage up
client call echo
