# The network loses what one side sends: both sides notice (G16)

actor server on storage
server request echo
server publish echo story.echo
actor client on app
client find story.echo echo
client call echo

# Heartbeats of storage still come, but they echo nothing new.
cut app to storage
client call echo 20000 -> OUTCOME_UNKNOWN app within 1500 ms
app sees storage down within 500 ms
storage sees app down within 1500 ms
server count echo -> OK delivered 1 held 0

heal
app sees storage up
client call echo
server count echo -> OK delivered 2 held 0
