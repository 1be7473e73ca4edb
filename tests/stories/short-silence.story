# A silence shorter than the failure timeout costs time and nothing else

actor server on storage
server request echo
server publish echo story.echo
actor client on app
client find story.echo echo

stop storage/fractosd
client call echo 20000 as asked
wait 400 ms
asked still waits
continue storage/fractosd
asked -> OK

# Two silences with no heartbeat between them would be one long one.
wait 600 ms
cut app and storage
client call echo 20000 as again
wait 400 ms
heal
again -> OK
