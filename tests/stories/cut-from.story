# The network loses the answers: the call was made, and its caller is told that this is not known (G16)

actor server on storage
server request echo
server publish echo story.echo
actor client on app
client find story.echo echo
client call echo

cut storage to app
client call echo 20000 -> OUTCOME_UNKNOWN app within 1500 ms
server count echo -> OK delivered 2 held 0
storage sees app down within 1500 ms

heal
app sees storage up
client call echo
server count echo -> OK delivered 3 held 0
