# The registry's node is cut off and comes back: names are found again, without anybody doing anything

actor server on storage
server request echo
server publish echo story.echo
actor client on app
client find story.echo echo

cut fs and app
app sees fs down within 2500 ms
client call echo
heal
app sees fs up
client find story.echo again
client call again
